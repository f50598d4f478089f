import Testing

@testable import Policy

/// The documents of a text, or the problem that ends it.
private func parse(_ text: String) throws(Problem) -> [YAML.Node] {
  let bytes = Array(text.utf8)
  let findings = Findings(file: "t", bytes: bytes)
  let documents = try bytes.withUnsafeBufferPointer { (buffer) throws(Problem) in
    var parser = YAML.Parser(buffer, findings: findings)
    var documents: [YAML.Node] = []
    while let document = try parser.next() { documents.append(document) }
    return documents
  }
  if let problem = findings.problems.first { throw problem }
  return documents
}

private func kind(_ node: YAML.Node) -> String {
  switch node.value {
  case .null: "null"
  case .bool(let value): "\(value)"
  case .integer(let value): "\(value)"
  case .number: "number"
  case .string: "string"
  case .sequence(let items): "[" + items.map(kind).joined(separator: " ") + "]"
  case .mapping(let entries): "{" + entries.map { "\($0.key): \(kind($0.node))" }.joined(separator: " ") + "}"
  }
}

@Test(
  "a plain scalar is what Kubernetes takes it for",
  arguments: [
    ("true", "true"), ("True", "true"), ("TRUE", "true"), ("tRUE", "string"), ("yes", "true"),
    ("Yes", "true"), ("y", "true"), ("Y", "true"),
    ("on", "true"), ("On", "true"), ("ON", "true"), ("false", "false"), ("no", "false"), ("n", "false"),
    ("N", "false"), ("off", "false"),
    ("null", "null"), ("~", "null"), ("Null", "null"), ("nULL", "string"), ("nil", "string"),
    ("0", "0"), ("80", "80"), ("+80", "80"), ("-80", "-80"), ("017", "15"), ("0o17", "15"), ("0x1F", "31"),
    ("0b101", "5"), ("-0b101", "-5"),
    ("1_000", "1000"), ("08", "number"), ("0x", "string"), ("9223372036854775807", "9223372036854775807"),
    ("-9223372036854775808", "-9223372036854775808"), ("9223372036854775808", "number"), ("1.5", "number"),
    ("1e3", "number"), (".5", "number"),
    ("1.", "number"), ("12e03", "number"), ("1e", "string"), (".inf", "number"), ("-.Inf", "number"),
    (".nan", "number"), (".", "string"),
    ("-", "[null]"), ("+", "string"), ("10.0.0.5", "string"), ("10.0.0.0/8", "string"),
    ("2024-01-01", "string"), ("1:30", "string"), ("0x1p3", "string"),
    ("80/TCP", "string"), ("'80'", "string"), ("\"true\"", "string"), ("!!str 80", "string"),
    ("! 80", "string"), ("_1", "string"),
  ])
func plainScalars(text: String, expected: String) throws { #expect(try parse(text).map(kind) == [expected]) }

@Test("a document is a tree with the line and column of every value")
func treeWithPlaces() throws {
  let document = try #require(try parse("a: 1\nb:\n  - x\n  - {é: \"y\", z: }\n").first)
  #expect(kind(document) == "{a: 1 b: [string {é: string z: null}]}")
  guard case .mapping(let entries) = document.value, case .sequence(let items) = entries[1].node.value,
    case .mapping(let inner) = items[1].value
  else { return }
  #expect([entries[1].line, entries[1].column] == [2, 1])
  #expect([items[0].line, items[0].column] == [3, 5])
  #expect([inner[0].line, inner[0].column] == [4, 6])
  #expect([inner[0].node.line, inner[0].node.column] == [4, 9])
  #expect([inner[1].line, inner[1].column] == [4, 14])
}

@Test("JSON is read by the same parser, with its escapes and its tabs")
func json() throws {
  let documents = try parse("{\n\t\"a\": \"x\\/y\\u00e9\\n\",\n\t\"b\": [1, true, null, 1.5e3],\"c\":{}\n}")
  #expect(documents.map(kind) == ["{a: string b: [1 true null number] c: {}}"])
  guard case .mapping(let entries) = documents[0].value else { return }
  #expect(entries[0].node.text == "x/yé\n")
}

@Test("a byte order mark is no part of the text", arguments: ["", "---\n", "# a comment\n"])
func byteOrderMark(head: String) {
  let text = head + "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
  let reading = Reading(texts: [("t.yaml", "\u{feff}" + text)])
  #expect(reading.problems.isEmpty && reading.set.namespaces["a"] != nil, "\(reading.problems)")
}

@Test("several documents follow each other, empty ones are null")
func severalDocuments() throws {
  #expect(try parse("").isEmpty)
  #expect(try parse("# nothing\n").isEmpty)
  #expect(
    try parse("---\na: 1\n---\n---\n# x\n---\nb: 2\n...\n").map(kind) == ["{a: 1}", "null", "null", "{b: 2}"])
}

@Test("an alias stands for its anchor's value")
func aliases() throws {
  #expect(try parse("a: &x [1, 2]\nb: *x\nc: {d: *x}\n").map(kind) == ["{a: [1 2] b: [1 2] c: {d: [1 2]}}"])
}

@Test(
  "an anchor is known in its own document only, and not within itself",
  arguments: [
    "a: &x 1\n---\nb: *x\n", "a: *x\n", "&x [*x]\n", "a: &x {b: *x}\n",
  ])
func anchorsThatAreNotThere(text: String) {
  let error = #expect(throws: Problem.self) { try parse(text) }
  #expect(error?.message.contains("no anchor") == true)
}

@Test(
  "a key becomes the string that was written, or is refused",
  arguments: [
    ("80: x", "{80: string}"), ("true: x", "{true: string}"), ("'y': x", "{y: string}"), ("y: x", ""),
    ("017: x", ""), ("1.5: x", ""), ("~: x", ""),
    ("? [a]\n: x", ""), ("? {a: b}\n: x", ""), ("<<: {a: b}", ""), ("'<<': x", "{<<: string}"),
  ])
func keys(text: String, expected: String) {
  if expected.isEmpty {
    #expect(throws: Problem.self) { try parse(text) }
  } else {
    #expect((try? parse(text).map(kind)) == [expected])
  }
}

@Test(
  "text that is not understood is refused where it stands",
  arguments: [
    Refusal("a tab as indentation", "a:\n\tb: 1", "2:1 ", says: "indent with spaces"),
    Refusal("an unclosed bracket", "a: [1,\n", "2:1 ", says: "expected node content"),
    Refusal("an unclosed quote", "a: 1\nb: \"x\n", "3:1 ", says: "quoted scalar that begins on line 2"),
    Refusal("two values in one line", "a: 1\n b: 2\n", "2:3 ", says: "mapping values are not allowed"),
    Refusal(
      "a key twice", "a: 1\nb: 2\na: 3\n", "1:1 apiVersion", "1:1 kind", "3:1 a",
      says: "`apiVersion` is required"),
    Refusal(
      "a key twice within", "metadata:\n  labels: {a: x, b: y, a: z}\n", "1:1 apiVersion", "1:1 kind",
      "2:24 metadata.labels.a", says: ""),
    Refusal("a merge key", "a:\n  <<: {b: 1}\n", "2:3 a", says: "merge keys"),
    Refusal("a tag", "a: !!int '1'\n", "1:4 a", says: "tag"),
    Refusal("half a surrogate pair", "{\"a\":\"\\ud83d\"}", "1:9 ", says: "surrogate"),
    Refusal("a surrogate pair in YAML", "a: \"\\ud83d\\ude00\"", "1:7 ", says: "surrogate"),
    Refusal("an escaped NUL", "a: [\"x\\0\"]\n", "1:5 a[0]", says: "NUL"),
    Refusal("a control character", "a: 1\nb: \u{1}\n", "2:4 ", says: "control characters"),
  ])
func notUnderstood(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}

@Test("a key that stands twice is told with both lines, also in a long mapping")
func duplicateKeys() throws {
  for count in [1, 100] {
    let between = (0..<count).map { "  k\($0): x\n" }.joined()
    let problems = Reading(texts: [("t.yaml", "metadata:\n  a: 1\n\(between)  a: 2\n")]).problems
    let problem = try #require(problems.first { $0.field == "metadata.a" })
    #expect(problem.line == 3 + count)
    #expect(problem.message == "the key `a` stands twice, first on line 2, again on line \(3 + count)")
  }
}
