import Testing

@testable import Policy

private func joined(_ text: String) -> String {
  String(decoding: YAML.joinSurrogates(Array(text.utf8)), as: UTF8.self)
}

@Test("an annotation that kubectl printed as JSON may have characters beyond U+FFFF")
func surrogatesInJSON() {
  let text =
    #"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}, "#
    + #""annotations": {"note": "party \ud83c\udf89 \\ud83c\\udf89 \"\uD83D\uDE00\""}}}"#
  let reading = Reading(texts: [("t.json", text)])
  #expect(reading.problems.isEmpty, "\(reading.problems)")
  #expect(reading.set.namespaces["shop"]?.labels["a"] == "b")
}

@Test(
  "a pair of surrogates becomes the one character in a JSON string, and nothing else changes",
  arguments: [
    (#"{"a": "\ud83d\ude00"}"#, #"{"a": "\U0001f600"}"#),
    (#" {"a": ["x\uD800\uDC00y", "\udbff\udfff"]}"#, #" {"a": ["x\U00010000y", "\U0010ffff"]}"#),
    // An escaped backslash before it: these are letters.
    (#"{"a": "\\ud83d\\ude00", "b": "\\\ud83d\ude00"}"#, #"{"a": "\\ud83d\\ude00", "b": "\\\U0001f600"}"#),
    // Not pairs.
    (#"{"a": "\ud83d"}"#, ""), (#"{"a": "\ude00\ud83d"}"#, ""), (#"{"a": "\ud83d \ude00"}"#, ""),
    (#"{"a": "\ud83d\u0041"}"#, ""), (#"{"a": "\ud83"#, ""),
    // Not JSON: single quotes, plain words and comments mean the letters themselves.
    (#"a: "\ud83d\ude00""#, ""), (#"{a: '"\ud83d\ude00"'}"#, ""), (#"{"a": b"\ud83d\ude00"}"#, ""),
    (##"{ # "\ud83d\ude00""## + "\n}", ""), ("", ""), ("{", ""), (#"{"a": "x\"#, ""),
  ])
func surrogatePairs(text: String, expected: String) {
  #expect(joined(text) == (expected.isEmpty ? text : expected))
}
