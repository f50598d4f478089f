import Testing

@testable import Policy

struct LanguageTests {
  @Test(
    "A regular expression must match the whole text, in RE2's syntax",
    arguments: [
      ("abc", ["abc"], ["", "ab", "abcd", "xabc", "ABC"]),
      ("", [""], ["a"]),
      ("/api/.*", ["/api/", "/api/x?y"], ["/api", "x/api/"]),
      ("/v[12]/.+", ["/v1/a", "/v2/b/c"], ["/v3/a", "/v1/"]),
      ("GET|POST", ["GET", "POST"], ["GETPOST", "GE", "PUT"]),
      ("/a|/b|", ["/a", "/b", ""], ["/c"]),
      ("a*", ["", "a", "aaa"], ["b", "ab"]), ("a+?", ["a", "aa"], [""]), ("a??b", ["b", "ab"], ["aab"]),
      ("a{2}", ["aa"], ["a", "aaa"]), ("a{2,}", ["aa", "aaaa"], ["a"]), ("a{0,2}", ["", "aa"], ["aaa"]),
      ("a{0}", [""], ["a"]), ("a{2,3}?", ["aa", "aaa"], ["a", "aaaa"]),
      ("a{,2}", ["a{,2}"], ["a", "aa"]), ("a{", ["a{"], ["a"]), ("a{1", ["a{1"], ["a"]),
      ("a{x}", ["a{x}"], ["a"]),
      ("a{01}", ["a{01}"], ["a"]),
      ("(ab)+c", ["abc", "ababc"], ["c", "aabbc"]), ("(?:ab|c)*", ["", "abcab"], ["a"]),
      ("(?P<name>a)(?<other>b)", ["ab"], ["a"]), ("(a|b)(c|d)", ["ac", "bd"], ["ab"]),
      (".", ["a", "é", "😀", " "], ["", "\n", "ab"]), ("(?s).", ["\n", "a"], [""]),
      ("(?s:.)b", ["\nb"], ["b"]), ("(?s:.).", ["\na"], ["a\n"]), ("(?i)ab", ["ab", "AB", "aB"], ["b"]),
      ("a(?i)b", ["ab", "aB"], ["Ab"]), ("(?i:a)b", ["Ab", "ab"], ["aB"]), ("(?i)a(?-i)b", ["Ab"], ["aB"]),
      ("((?i)a)b", ["Ab"], ["AB"]), ("a(?i)b|c", ["aB", "C"], ["AB"]), ("(?i)[a-c]", ["B"], ["d"]),
      ("(?i)[^a]", ["b"], ["a", "A"]), ("(?i)k", ["K", "\u{212a}"], ["l"]),
      ("(?i)\\W", ["-"], ["\u{212a}", "a"]),
      ("\\W", ["\u{212a}"], ["a"]), ("(?is)A.", ["a\n"], ["\na"]), ("(?U)a*", ["aa"], ["b"]),
      ("[abc]", ["a", "c"], ["d", ""]), ("[a-c0-9_]", ["b", "5", "_"], ["-", "d"]),
      ("[^/]+", ["ab?"], ["a/b", ""]),
      ("[]a]", ["]", "a"], ["b"]), ("[^]a]", ["b"], ["]", "a"]), ("[a-]", ["a", "-"], ["b"]),
      ("[-a]", ["-", "a"], ["b"]),
      ("[a\\-c]", ["-", "a", "c"], ["b"]), ("[\\]\\\\]", ["]", "\\"], ["a"]), ("[\\d/]", ["5", "/"], ["d"]),
      ("[[:alpha:]]+", ["aZ"], ["a1"]), ("[[:^digit:]]", ["a"], ["1"]), ("[[:word:].]", ["_", "."], ["-"]),
      ("[[:space:]]", ["\u{b}"], ["a"]), ("\\s", [" ", "\t"], ["\u{b}", "s"]), ("[^\\d]", ["a"], ["1"]),
      ("[[a]", ["[", "a"], ["b"]),
      ("[a-c-e]", ["b", "-", "e"], ["d"]), ("[^a]", ["\n", "é"], ["a"]), ("[é-ü]", ["ö", "é"], ["e", "ý"]),
      ("[\\x{1F600}-\\x{1F64F}]", ["😀"], ["🌀"]), ("[\\x00-\\x{10FFFF}]", ["a", "é", "😀"], [""]),
      ("\\d+\\D", ["12x"], ["12", "123"]), ("\\w\\S", ["ab", "_-"], ["a ", "-a"]),
      ("\\x41\\x{e9}\\101\\07", ["AéA\u{7}"], ["A"]), ("\\.\\*\\/\\-\\_\\\"", [".*/-_\""], ["x"]),
      ("\\Qa.b*\\Ec", ["a.b*c"], ["axbc"]), ("\\Q(", ["("], [""]), ("\\Qab\\E+", ["ab", "abb"], ["abab"]),
      ("^/a$", ["/a"], ["a", "/a\n"]), ("\\A/a\\z", ["/a"], ["/ab"]), ("a^b", [], ["ab", "a^b"]),
      ("a$b", [], ["ab"]),
      ("(^a|b)c", ["ac", "bc"], ["aac"]), ("$^", [""], ["a"]), ("(?m)a$\n^b", ["a\nb"], ["ab"]),
      ("a$\n^b", [], ["a\nb"]),
      ("\\bab\\b.*", ["ab", "ab c", "ab-"], ["abc"]), ("a\\Bb", ["ab"], ["a b"]),
      (".*\\bx\\b.*", ["a x b", "x"], ["axb"]),
      ("^*a", ["a"], [""]), ("()|a", ["", "a"], ["b"]), ("a(?i)*", ["", "aa"], ["A"]), ("}]", ["}]"], []),
      ("a(?)b", ["ab"], ["a"]),
      ("(a*)*b", ["b", "aaab"], ["a"]), ("(|a)+", ["", "aa"], ["b"]),
      ("é+", ["éé"], ["e"]), ("x{2}{", ["xx{"], ["xx"]), ("a\\n", ["a\n"], ["an"]),
    ] as [(String, [String], [String])])
  func regex(regex: String, matching: [String], others: [String]) {
    #expect(Language.fault(inRegex: regex) == nil)
    let language = Language(.regex(regex))
    for text in matching { #expect(language.matches(text), "\(text.debugDescription)") }
    for text in others { #expect(!language.matches(text), "\(text.debugDescription)") }
  }

  @Test(
    "What RE2 refuses, and what is not done here, is a fault that says what and where",
    arguments: [
      ("a(?=b)", "RE2 has no lookaround (?=, at character 2"),
      ("(?!a)b", "RE2 has no lookaround (?!, at character 1"),
      ("(?<=a)b", "RE2 has no lookaround (?<=, at character 1"),
      ("(?<!a)", "RE2 has no lookaround (?<!, at character 1"),
      ("(a)\\1", "RE2 has no backreference \\1, at character 4"),
      ("\\8", "RE2 has no backreference \\8, at character 1"),
      ("(a", "an opening parenthesis has no closing one, at character 1"),
      ("a)", "a closing parenthesis has no opening one, at character 2"),
      ("[a", "an opening bracket has no closing one, at character 1"),
      ("[]", "an opening bracket has no closing one, at character 1"),
      ("x[a\\", "a backslash stands at the end, at character 4"),
      ("*a", "a repetition has nothing to repeat, at character 1"),
      ("a|+", "a repetition has nothing to repeat, at character 3"),
      ("({2})", "a repetition has nothing to repeat, at character 2"),
      ("a**", "a repetition repeats a repetition, at character 3"),
      ("a++", "a repetition repeats a repetition"),
      ("a{2}{3}", "a repetition repeats a repetition, at character 5"),
      ("a+??", "a repetition repeats a repetition"),
      ("a{1001}", "a repetition of more than 1000, at character 2"),
      ("a{0,1001}", "a repetition of more than 1000"),
      ("a{3,2}", "a repetition of at least 3 and at most 2, at character 2"),
      ("(a{40}){40}", "repetitions within repetitions, more than 1000 together, at character 8"),
      ("[b-a]", "a range runs backwards, at character 2"),
      ("[[:nope:]]", "there is no class [:nope:], at character 2"),
      ("a\\", "a backslash stands at the end, at character 2"),
      ("\\y", "RE2 has no escape \\y, at character 1"),
      ("\\Z", "RE2 has no escape \\Z"), ("\\G", "RE2 has no escape \\G"), ("[\\b]", "RE2 has no escape \\b"),
      ("\\xg0", "\\x takes hexadecimal digits up to 10FFFF, at character 1"),
      ("\\x{110000}", "\\x takes hexadecimal"),
      ("\\x{", "\\x{ has no end"), ("\\x1", "\\x takes two digits"), ("(?x)a", "RE2 has no group (?x"),
      ("(?>a)", "RE2 has no group (?>"), ("(?#a)", "RE2 has no group (?#"),
      ("(?i-)a", "RE2 has no group (?)"),
      ("(?P=n)", "RE2 has no group (?P"), ("(?P<n)", "a group's name has no end"),
      ("(?P<a-b>c)", "a group's name is made"),
      ("é(", "an opening parenthesis has no closing one, at character 2"),
      ("\\pN", "Unicode classes (\\p) are not supported, at character 1"),
      ("[\\P{Greek}]", "Unicode classes (\\P) are"),
      ("\\C", "\\C (any byte) is not supported"),
      ("(?i)é", "(?i) over characters outside ASCII is not supported"),
      ("[^a]{1000}[^b]{1000}[^c]{1000}[é-😀]{1000}", "is too large"),
      (
        String(repeating: "(", count: 300) + String(repeating: ")", count: 300),
        "groups within more than 250 groups"
      ),
    ] as [(String, String)])
  func faults(regex: String, fault: String) throws {
    let found = try #require(Language.fault(inRegex: regex))
    #expect(found.hasPrefix(fault) || fault.contains(found), "\(found)")
    #expect(!Language(.regex(regex)).matches("a"))
  }

  @Test("Exact, prefix and suffix compare bytes, and hosts the letters of ASCII in either case")
  func words() {
    for (match, matching, others) in [
      (.exact("/a.b"), ["/a.b"], ["/axb", "/a.b/", "/A.b", ""]),
      (.prefix("/a"), ["/a", "/ab", "/a\n😀"], ["/", "b/a"]),
      (.suffix("l"), ["l", "html"], ["lx", ""]), (.presence, ["x", "\n"], [""]), (.any, ["", "x"], []),
      (.prefix(""), ["", "a"], []), (.exact("\u{e9}"), ["\u{e9}"], ["e\u{301}"]), (.exact(""), [""], ["a"]),
    ] as [(Match, [String], [String])] {
      for text in matching { #expect(Language(match).matches(text), "\(match) \(text)") }
      for text in others { #expect(!Language(match).matches(text), "\(match) \(text)") }
      for text in matching + others {
        #expect(match.matches(text) == Language(match).matches(text), "\(match) \(text)")
        #expect(match.matches(text, ignoringCase: true) == Language(match).matches(text, ignoringCase: true))
      }
    }
    #expect(Language(.suffix(".Shop")).matches("API.sHOP", ignoringCase: true))
    #expect(!Language(.exact("É")).matches("é", ignoringCase: true))
    #expect(!Language(.regex("a")).matches("A", ignoringCase: true))
  }

  @Test(
    "A path template's {*} is one segment of RFC 3986 characters, {**} zero or more of them",
    arguments: [
      (
        "/foo/{*}", ["/foo/bar", "/foo/a%2Fb", "/foo/a=b", "/foo/a*b"],
        ["/foo/", "/foo", "/foo/a/b", "/foo/[x]"]
      ),
      ("/{*}/bar", ["/a/bar"], ["//bar", "/a/b/bar", "/bar"]),
      ("/foo/{**}", ["/foo/", "/foo/a", "/foo/a/b/", "/foo//"], ["/foo", "/foobar", "/foo/[x]"]),
      ("/{**}/x", ["//x", "/a/x", "/a/b/x"], ["/x", "/a/xx"]),
      ("/{*}/a/{**}", ["/x/a/", "/x/a/b/c"], ["/x/a"]),
      ("/{**}", ["/", "/a", "/a/b"], ["", "/a?b"]), ("/{*}/", ["/a/"], ["/a"]),
      ("/a.b+$(c)/{*}", ["/a.b+$(c)/x"], ["/axb+$(c)/x"]), ("/a/{*}.", [], []),
    ] as [(String, [String], [String])])
  func templates(template: String, matching: [String], others: [String]) {
    guard !matching.isEmpty else {
      #expect(Language.fault(inTemplate: template) != nil)
      return
    }
    #expect(Language.fault(inTemplate: template) == nil)
    for text in matching { #expect(Language(.template(template)).matches(text), "\(text)") }
    for text in others { #expect(!Language(.template(template)).matches(text), "\(text)") }
  }

  @Test(
    "A path template that Istio or Envoy refuses is a fault",
    arguments: [
      ("foo/{*}", "a path template begins with a slash, at character 1"),
      ("/{**}/{*}", "{**} must be the last operator of a path template, at character 7"),
      ("/{**}/a/{**}", "{**} must be the last operator of a path template, at character 9"),
      ("/a{*}", "{*} and {**} are a whole segment"), ("/{*}.txt", "{*} and {**} are a whole segment"),
      ("/{name}/{*}", "{*} and {**} are a whole segment"),
      ("/{*}/a*", "`*` cannot stand in a path template, at character 7"),
      ("//{*}", "a path template has no empty segment, at character 2"), ("/a\"/{*}", "`\"` cannot stand"),
      ("/é/{*}", "`é` cannot stand"), ("/a?b/{*}", "`?` cannot stand"), ("/{*}/[x]", "`[` cannot stand"),
    ] as [(String, String)])
  func templateFaults(template: String, fault: String) throws {
    #expect(try #require(Language.fault(inTemplate: template)).hasPrefix(fault))
  }

  @Test("Matching takes time in proportion to the text, also where backtracking would never end")
  func linear() {
    let text = String(repeating: "a", count: 2000)
    let clock = ContinuousClock()
    let time = clock.measure {
      #expect(!Language(.regex("(a*)*(a|aa)+(a?){50}b")).matches(text))
      #expect(Language(.regex("(a*)*(a|aa)+(a?){50}")).matches(text))
    }
    #expect(time < .seconds(20))
  }
}
