/// A configuration file: one mapping, read as strictly as policies are. What the keys mean is the caller's business.
public struct Settings: Sendable {
  public enum Kind: Sendable {
    case text, texts, flag
  }

  /// What stands there. A flag that is true has no values; one that is false is not here.
  public private(set) var values: [String: [String]] = [:]
  /// Everything wrong with it; `values` are of no use then.
  public private(set) var problems: [Problem] = []

  /// - Parameters:
  ///   - what: what the file is, for messages: "an agent's configuration".
  ///   - keys: what the mapping may have, in the order of messages.
  public init(path: String, what: String, keys: KeyValuePairs<String, Kind>) {
    do throws(Problem) {
      _ = try PolicyFile.look(at: path).get()
      let (_, bytes) = try PolicyFile.read(path)
      read(shown(path), bytes, what, keys)
    } catch {
      problems = [error]
    }
  }

  private mutating func read(
    _ file: String, _ bytes: [UInt8], _ what: String, _ keys: KeyValuePairs<String, Kind>
  ) {
    let shape = Decoding.Shape(what: what, read: keys.map(\.key))
    var values: [String: [String]] = [:]
    var documents = 0
    var last: Decoding?
    let decoding = FileReading.decode(file, bytes) { decoding, document in
      // A second reading begins with a Decoding of its own.
      if last !== decoding { (last, documents, values) = (decoding, 0, [:]) }
      documents += 1
      if documents > 1 { return decoding.problem(document, "a second document; expected one") }
      guard let fields = decoding.fields(document, shape) else { return }
      for (key, kind) in keys {
        switch kind {
        case .text: values[key] = decoding.field(key, of: fields) { decoding.nonEmptyString($0) }.map { [$0] }
        case .texts:
          values[key] = decoding.field(key, of: fields) { node in
            decoding.list(node, of: "strings") { decoding.nonEmptyString($0) }
          }
        case .flag: values[key] = decoding.field(key, of: fields) { decoding.bool($0) } == true ? [] : nil
        }
      }
    }
    problems = decoding.findings.problems
    self.values = values
  }
}
