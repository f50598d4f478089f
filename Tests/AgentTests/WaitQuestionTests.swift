import Testing

@testable import Agent

struct WaitQuestionTests {
  @Test(arguments: [
    ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("7", 7000), ("0s", 0), ("1440m", 86_400_000), ("1441m", nil),
    ("", nil), ("s", nil), ("-1s", nil), ("1.5s", nil), ("1h", nil), ("99999999999999999999", nil),
    ("18446744073709551615m", nil),
  ] as [(String, UInt64?)])
  func `a time is milliseconds, seconds or minutes, a day at most`(text: String, milliseconds: UInt64?) {
    #expect(WaitQuestion.milliseconds(text) == milliseconds)
  }

  @Test(arguments: [
    ["shop/web", "more"], ["shop/web", "--self"], ["a/b/c"], ["shop/"], ["a b"], ["--generation", "x"],
    ["--timeout", "soon"], ["--", "x"], ["a%2fb"],
  ])
  func `wrong usage is refused before anybody is asked`(words: [String]) {
    #expect(throws: Failure.self) { try WaitQuestion(Arguments.parse(words, options: Command.wait.options)) }
  }

  @Test func `nobody's socket is an agent that does not run, and may come`() throws {
    let question = try WaitQuestion(Arguments.parse(["shop/web"], options: Command.wait.options))
    let place = TemporaryDirectory()
    let client = AgentClient(try Arguments.parse(["--run-dir", place.path], options: [Command.runDirectory]))
    let answer = try question.ask(client, until: 0)
    #expect(answer.missing == "no agent is running (nobody listens at \(place.path)/weir.sock)")
  }
}
