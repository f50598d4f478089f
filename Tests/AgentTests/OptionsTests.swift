import Testing

@testable import Agent

struct OptionsTests {
  private let options: [Option] = [
    .value("--policies", value: "DIR", repeatable: true, ""), .value("--from", value: "E", ""),
    .value("-o", "--output", value: "FORMAT", ""), .flag("--audit", help: ""),
  ]

  private func parse(_ words: String...) throws(Failure) -> Arguments {
    try Arguments.parse(words, options: options)
  }

  @Test func aValueStandsAfterABlankOrAfterAnEqualsSign() throws {
    let arguments = try parse("--policies", "a", "x", "--policies=b=c", "--output=json", "--audit")
    #expect(arguments.all("--policies") == ["a", "b=c"])
    #expect(arguments.positionals == ["x"])
    #expect(arguments.has("--audit"))
    #expect(try arguments.wantsJSON())
  }

  @Test func whatStandsAfterTwoDashesIsLeftAlone() throws {
    let arguments = try parse("--audit", "--", "curl", "--audit", "--", "-o", "x")
    #expect(arguments.rest == ["curl", "--audit", "--", "-o", "x"])
    #expect(arguments.positionals.isEmpty)
    #expect(try parse("x").rest == nil)
  }

  @Test(arguments: [
    (["--polices", "x"], "--polices: no such option; did you mean --policies?"),
    (["--zzzzzzzzzzzz"], "--zzzzzzzzzzzz: no such option; see --help"),
    (["--from"], "--from: needs a value, --from E"), (["--from="], "--from: needs a value, --from E"),
    (["--from", "a", "--from", "b"], "--from: stands twice; give it once"),
    (["--audit=yes"], "--audit: takes no value"),
  ])
  func aWrongOptionIsNamedWithWhatToDo(words: [String], line: String) {
    #expect(throws: Failure(line)) { try Arguments.parse(words, options: options) }
  }

  @Test func anUnknownFormatIsRefused() throws {
    let arguments = try parse("-o", "xml")
    #expect(throws: Failure("-o xml: no such format; there are table and json")) { try arguments.wantsJSON() }
  }

  @Test func theNearestNameComesFirstAndAStrangerNotAtAll() {
    #expect(Nearest.to("shop/wbe", in: ["shop/web", "shop/api", "other/thing"]).first == "shop/web")
    #expect(Nearest.to("completely", in: ["shop/web"]).isEmpty)
    #expect(Nearest.distance("kitten", "sitting") == 3)
    #expect(Nearest.distance("", "abc") == 3)
  }

  @Test func portsAreWrittenNumberSlashProtocol() throws {
    #expect(try PolicyFiles.port("80/TCP") == (.tcp, 80))
    #expect(try PolicyFiles.port("53/udp") == (.udp, 53))
    #expect(try PolicyFiles.port("443") == (.tcp, 443))
    #expect(try PolicyFiles.port("0/ICMP") == (.icmp, 0))
    for wrong in ["0/TCP", "65536", "80/", "/TCP", "80/TCP/UDP", "256/ICMP", "-1", "http"] {
      #expect(throws: Failure.self, "\(wrong)") { try PolicyFiles.port(wrong) }
    }
  }

  @Test func aTableIsAsWideAsItsCellsAndHasNoBlanksAtTheEnd() {
    let table = Table([["a", "1", ""], ["long name", "22", "x"]], header: ["NAME", "N"])
    #expect(table.text() == "NAME       N\na          1\nlong name  22  x\n")
    #expect(Table([["allowed", "x"]]).text(coloured: true) == "\u{1b}[32mallowed\u{1b}[0m  x\n")
  }

  @Test func linesAreCutOutOfPieces() {
    var lines = LineSplitter()
    let taken = ["ab", "c\nd\n\ne", "\n"].map { lines.take(Array($0.utf8)) }
    #expect(taken == [[], ["abc", "d"], ["e"]])
  }
}
