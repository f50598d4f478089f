import Glibc

/// One input of libFuzzer: a policy file, compiled together with Sources/Policy. Beside what the sanitizer finds:
/// - the two readers of YAML agree, places included, wherever the quick one does not decline;
/// - every problem has a message, and a place within the text;
/// - what decodes and is small compiles, with all of its workloads here.
@_cdecl("LLVMFuzzerTestOneInput")
public func readOne(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  if getenv("WEIR_FUZZ_PLANT") != nil, bytes.starts(with: "planted".utf8) {
    fatalError("the planted crash: the harness reports")
  }
  compareReaders(bytes)
  let reading = FileReading(file: "f", bytes: bytes)
  let lines = bytes.count { $0 == UInt8(ascii: "\n") } + 1
  for problem in reading.problems {
    precondition(!problem.message.isEmpty && problem.file == "f")
    // Behind the last line there may be one more, and libyaml counts U+2028 and its like as ends of lines.
    precondition(problem.line >= 0 && (problem.line <= lines + 1 || bytes.contains { $0 > 0x7e || $0 == 0x0d }))
  }
  var collection = Collection()
  let set = collection.join([reading]).set
  if size <= 4096, reading.problems.isEmpty { compileAll(set) }
  return 0
}

private func compareReaders(_ bytes: [UInt8]) {
  guard let quickly = documents(bytes, quickly: true) else { return }
  let whole = documents(bytes, quickly: false)
  precondition(quickly == whole, "the readers do not agree:\n\(quickly)\n\(whole ?? [])")
}

/// nil where the reader declines, or finds something wrong.
private func documents(_ bytes: [UInt8], quickly: Bool) -> [String]? {
  if quickly {
    guard bytes.withUnsafeBufferPointer(YAML.Quick.Cursor.isOrdinary) else { return nil }
    return (bytes + YAML.Quick.Cursor.padding).withUnsafeBufferPointer { padded in
      guard let base = padded.baseAddress else { return nil }
      var quick = YAML.Quick(base, count: bytes.count)
      var found: [String] = []
      do throws(YAML.Quick.Declined) {
        while let node = try quick.next() { if !node.isNull { found.append("\(node)") } }
      } catch {
        return nil
      }
      return found
    }
  }
  let findings = Findings(file: "f", bytes: bytes)
  return bytes.withUnsafeBufferPointer { buffer in
    var parser = YAML.Parser(buffer, findings: findings)
    var found: [String] = []
    do throws(Problem) {
      while let node = try parser.next() { if !node.isNull { found.append("\(node)") } }
    } catch {
      return nil
    }
    return findings.problems.isEmpty ? found : nil
  }
}

private func compileAll(_ set: PolicySet) {
  var presence = Presence()
  for (index, name) in set.endpoints.keys.sorted().enumerated() { presence.workloads[name] = UInt64(1000 + index) }
  for (index, name) in set.proxies.keys.sorted().enumerated() { presence.proxies[name] = UInt64(1 + index) }
  var numbers = Numbers()
  // What does not fit is an error with the numbers, not a crash.
  _ = try? compile(set, presence: presence, numbers: &numbers)
}
