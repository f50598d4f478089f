import Testing

@testable import Policy

/// What `Quick` reads; nil where it declines.
private func quick(_ text: String) -> [String]? {
  let bytes = Array(text.utf8)
  guard bytes.withUnsafeBufferPointer(YAML.Quick.Cursor.isOrdinary) else { return nil }
  return (bytes + YAML.Quick.Cursor.padding).withUnsafeBufferPointer { padded in
    guard let base = padded.baseAddress else { return nil }
    do throws(YAML.Quick.Declined) {
      var quick = YAML.Quick(base, count: bytes.count)
      var documents: [String] = []
      while let document = try quick.next() { documents.append(shape(document)) }
      return documents
    } catch {
      return nil
    }
  }
}

/// What libyaml reads, but for empty documents; nil where something is wrong.
private func whole(_ text: String) -> [String]? {
  let bytes = Array(text.utf8)
  let findings = Findings(file: "t", bytes: bytes)
  return bytes.withUnsafeBufferPointer { buffer in
    do throws(Problem) {
      var parser = YAML.Parser(buffer, findings: findings)
      var documents: [String] = []
      while let document = try parser.next() { if !document.isNull { documents.append(shape(document)) } }
      return findings.problems.isEmpty ? documents : nil
    } catch {
      return nil
    }
  }
}

/// A value with every place and every text.
private func shape(_ node: YAML.Node) -> String {
  let place = "@\(node.line):\(node.column)"
  switch node.value {
  case .null: return "null(\(node.text))" + place
  case .bool(let value): return "\(value)(\(node.text))" + place
  case .integer(let value): return "\(value)(\(node.text))" + place
  case .number: return "number(\(node.text))" + place
  case .string: return "\"\(node.text)\"" + place
  case .sequence(let items): return "[" + items.map(shape).joined(separator: ", ") + "]" + place
  case .mapping(let entries):
    return "{" + entries.map { "\($0.key)@\($0.line):\($0.column): " + shape($0.node) }.joined(separator: ", ") + "}"
      + place
  }
}

@Test(
  "what kubectl prints and people write is read the quick way, as libyaml reads it",
  arguments: [
    "", "\n", "# nothing\n", "---\n", "---\n---\n# x\n---\na: 1\n", "a: 1", "a: 1\n", "  a: 1\n  b: 2\n",
    "a:\nb:   \nc: # comment\nd: ~\n", "a: b # c\nd: e#f\n", "a:\n  b:\n    c: d\n  e: f\ng: h\n",
    "a:\n- b\n- c: 1\n  d: 2\n-\n- - e\n  - f\n- g:\n  - h\n  i: j\nk: l\n", "a:\n  - b\n  -\n    c: d\n  - # x\n    e: f\n",
    "- a\n- b: c\n", "a: {}\nb: []\nc: {d: e, f: [1, two, 'three', \"four\"], g: {h: i}}\n", "a: { b: c }\n", "{a: 1}\n",
    "a: 'it''s'\nb: \"say \\\"\\\\ \"\nc: ''\nd: \"\"\n", "'a': 1\n\"b c\": 2\n", "a: 10.0.0.1\nb: 1.5\nc: 0x1f\nd: -1\ne: 2025-03-14T09:26:53Z\n",
    "a: http://x.y/z?q=1&r\nb: registry/x:1.2\nc: a  b   \n", "a: |\n  one\n   two\n\n  three\nb: |-\n  x\n\nc: d\n",
    "a:\n- |\n  x\n- b: |\n    y\n", "a: |\n  {\"x\":1}\n\n\n", "a: 1\n---\nb: 2\n---\n# end\n", "x/y.z-w: 1\n", "a: <none>\nb: ^x$\nc: -x\n",
    "a:\n  # comment\n  b: 1\n# other\n  c: 2\n   # third\n", "a:\n-   b: 1\n    c: 2\n", "spec: {paths: [/api/*, /x]}\n",
  ])
func readQuickly(text: String) {
  #expect(quick(text) != nil)
  #expect(quick(text) == whole(text))
}

@Test(
  "whatever else there is, and whatever is wrong, is left to libyaml",
  arguments: [
    "a: &x 1\n", "a: *x\n", "a: !!str 1\n", "%YAML 1.1\n---\na: 1\n", "a: >\n  x\n", "a: |+\n  x\n", "a: |2\n   x\n",
    "a: |\n\n  x\n", "a: |\n  x", "? a\n: b\n", "a: b: c\n", "a: b\n  c\n", "a:\n b: 1\n  c: 2\n", "a: 1\n b: 2\n", "a: 1\na: 2\n", "{a: 1, a: 2}\n",
    "y: 1\n", "80: 1\n", "<<: {}\n", "a: \"\\u00e9\"\n", "a: \"x\ny\"\n", "a: {b: c,\n d: e}\n", "a: [b\n", "a: [b, ]\n", "a: [a: b]\n",
    "a: {b}\n", "a:\tb\n", "a: é\n", "a: 1\r\n", "...\n", "--- a\n", "a: 1\n...\n", "- a\nb: 1\n", "a: 1\n- b\n", "a\n", "a:\n  b\n", "a: 'x'y\n",
    "a: 'x'#y\n", "a: @x\n", "a: `x\n", "a: {b: c} d\n", "a: ]\n", "a : 1\n", "a: - b\n", "a:b\n", "[a]: b\n", "a: [fd00::1]\n", "a: {b:1}\n",
    String(repeating: "- ", count: 100) + "x\n",
  ])
func leftToTheOther(text: String) { #expect(quick(text) == nil) }

@Test func `what is not declined is read as libyaml reads it, whatever is done to a text`() throws {
  let pieces = [
    "a: 1\n", "  b: x\n", "- c\n", "- d: e\n", "  - f\n", "    g: {h: i, j: [k, 1]}\n", "\n", "# l\n", "---\n", "m:\n", " ", "  ",
    "n: |\n", "      o p\n", "'q': \"r\"\n", ": ", "-", "#", "'", "\"", "{", "}", "[", "]", ",", "|", "~", "null", "0x1", "1.2.3.4", "\n\n", "s: |-\n",
  ]
  let pod = """
    apiVersion: v1
    items:
    - apiVersion: v1
      kind: Pod
      metadata:
        annotations:
          x: |
            {"a": 1}
        name: web # the first
      spec:
        containers:
        - name: main
          ports: [{name: http, containerPort: 8080}]
        - 'name': other
          args: ["-x", '--y']
      status: {podIP: 10.0.0.1, phase: Running}
    kind: List
    ---
    kind: x

    """
  var random = SystemRandomNumberGenerator()
  var accepted = 0
  for round in 0..<6000 {
    var text = ""
    if round % 2 == 0 {
      for _ in 0..<Int.random(in: 1..<9, using: &random) { text += pieces.randomElement(using: &random) ?? "" }
    } else {
      var bytes = Array(pod.utf8)
      for _ in 0..<Int.random(in: 0..<3, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let piece = Array((pieces.randomElement(using: &random) ?? "").utf8)
        let end = min(bytes.count, place + Int.random(in: 0..<4, using: &random))
        bytes.replaceSubrange(place..<end, with: piece)
      }
      text = String(decoding: bytes, as: UTF8.self)
    }
    guard let quickly = quick(text) else { continue }
    accepted += 1
    #expect(quickly == whole(text), "\(text)")
    if quickly != whole(text) { return }
  }
  #expect(accepted > 500)
}
