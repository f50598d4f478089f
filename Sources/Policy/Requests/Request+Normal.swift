/// The form in which a proxy judges a request, with the bootstrap's `normalize_path`: what the stock Envoy
/// 1.40 does with HTTP/1.1 (googleurl's path canonicalizer, and before it the parameters of dot segments cut
/// off). Shown by VerdictTests.
extension Request {
  /// A target with scheme and host is taken apart; backslashes in the path become slashes, dot segments are
  /// resolved, unreserved characters decoded and those that no URL may have encoded. `//`, `%2F` and the
  /// query stay as they are. Names of headers are in lower case, values without the space around them.
  public var normalized: Request {
    var request = self
    request.host = Self.trimmed(host)
    if let (authority, rest) = Self.absolute(path) {
      request.host = String(authority.split(separator: "@", omittingEmptySubsequences: false).last ?? "")
      request.path = rest
    }
    if request.path.utf8.first == UInt8(ascii: "/") {
      let end = request.path.utf8.firstIndex(of: UInt8(ascii: "?")) ?? request.path.endIndex
      let path = Self.canonical(Self.withoutDotParameters(Array(request.path[..<end].utf8)))
      request.path = String(decoding: path, as: UTF8.self) + request.path[end...]
    }
    request.headers = [:]
    for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
      // Two spellings of a name; Envoy compares each value by itself, which one text cannot say.
      let before = request.headers[name.lowercased()].map { $0 + "," } ?? ""
      request.headers[name.lowercased()] = before + Self.trimmed(value)
    }
    return request
  }

  /// Without the space and tabs around it.
  private static func trimmed(_ text: String) -> String {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    let bytes = text.utf8.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
    return String(decoding: Array(bytes), as: UTF8.self)
  }

  /// `http://HOST/PATH`; nil for a target that is only a path.
  static func absolute(_ target: String) -> (authority: Substring, rest: String)? {
    for scheme in ["http://", "https://"] {
      let head = target.prefix(scheme.count)
      guard head.lowercased() == scheme else { continue }
      let rest = target[head.endIndex...]
      let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
      return (rest[..<end], end == rest.endIndex ? "/" : String(rest[end...]))
    }
    return nil
  }

  /// `/..;x/` is `/../`: only between slashes, and only where the dots are not encoded.
  private static func withoutDotParameters(_ path: [UInt8]) -> [UInt8] {
    let semicolon = UInt8(ascii: ";")
    let segments = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let kept = segments.map { segment in
      let dots = segment.prefix { $0 == UInt8(ascii: ".") }.count
      return (1...2).contains(dots) && segment.dropFirst(dots).first == semicolon
        ? segment.prefix(dots) : segment
    }
    return Array(kept.joined(separator: [UInt8(ascii: "/")]))
  }

  /// RFC 3986 2.3.
  static func isUnreserved(_ byte: UInt8) -> Bool {
    Automaton.Neighbour(byte) == .word || "-.~".utf8.contains(byte)
  }

  /// Two hexadecimal digits after `%`.
  static func escaped(_ bytes: ArraySlice<UInt8>) -> UInt8? {
    guard bytes.first == UInt8(ascii: "%"), bytes.count >= 3 else { return nil }
    let digits = bytes.dropFirst().prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    return digits.count == 2 ? UInt8(digits[0] << 4 | digits[1]) : nil
  }

  /// Which of the characters that may be sent have to be encoded.
  private static let encoded = ByteSet(Array("\"<>^`{|}".utf8))

  private static func canonical(_ path: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    // The last `%` that begins no escape.
    var stray: Int?
    var index = 0

    // A slash or the end stands there.
    func ends(_ index: Int) -> Bool { index >= path.count || path[index] == 0x2f || path[index] == 0x5c }
    // How many bytes a dot takes there: 1, 3 encoded, or 0.
    func dot(_ index: Int) -> Int {
      guard index < path.count else { return 0 }
      if path[index] == UInt8(ascii: ".") { return 1 }
      return escaped(path[index...]) == UInt8(ascii: ".") ? 3 : 0
    }

    while index < path.count {
      let byte = path[index]
      let first = dot(index)
      if first > 0, output.last == UInt8(ascii: "/") {
        let second = dot(index + first)
        if ends(index + first) {
          index += first + 1
          continue
        }
        if second > 0, ends(index + first + second) {
          output.removeLast()
          while let last = output.last, last != UInt8(ascii: "/") { output.removeLast() }
          if output.isEmpty { output = [UInt8(ascii: "/")] }
          index += first + second + 1
          continue
        }
      }
      if byte == UInt8(ascii: "\\") {
        output.append(UInt8(ascii: "/"))
      } else if byte == UInt8(ascii: "%") {
        if let value = escaped(path[index...]) {
          index += 3
          if isUnreserved(value) {
            output.append(value)
            guardStray(&output, stray, next: index < path.count ? path[index] : nil)
          } else {
            output += path[index - 3..<index]
          }
          continue
        }
        stray = output.count
        output.append(byte)
      } else if encoded.contains(byte) {
        output += Array("%\(String(byte, radix: 16, uppercase: true))".utf8)
      } else {
        output.append(byte)
      }
      index += 1
    }
    return output
  }

  /// Decoding must not make an escape of a `%` that was none: that is encoded then (`%4%31` is `%2541`).
  private static func guardStray(_ output: inout [UInt8], _ stray: Int?, next: UInt8?) {
    guard let stray else { return }
    let tail = output[stray...] + (output.count == stray + 2 ? next.map { [$0] } ?? [] : [])
    guard output.count <= stray + 3, escaped(tail) != nil else { return }
    output.insert(contentsOf: Array("25".utf8), at: stray + 1)
  }
}

extension Request {
  /// Why Envoy answers an HTTP/1.1 request by itself, whatever the rules say; nil where it asks them.
  public var refusal: String? {
    let request = normalized
    guard Self.methods.contains(request.method) else {
      return "Envoy knows no method \(quoted(request.method))"
    }
    if request.method == "CONNECT" { return "a tunnel (CONNECT) has no route" }
    if path.utf8.contains(UInt8(ascii: "#")) { return "a fragment is never sent" }
    guard path.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      return "the path has a character that must be encoded"
    }
    guard request.path.utf8.first == UInt8(ascii: "/") else { return "the path does not begin with a slash" }
    if Self.absolute(path)?.authority.isEmpty == true { return "the target has no host" }
    let bytes = Array(RequestMatch.path(of: request.path).utf8)
    if bytes.indices.contains(where: { Self.escaped(bytes[$0...]) == 0 }) { return "the path has a NUL" }
    guard request.host.utf8.allSatisfy(Self.hostBytes.contains) else {
      return "the host has a character that no host has"
    }
    for (name, value) in request.headers {
      guard !name.isEmpty, name.utf8.allSatisfy(Self.tokenBytes.contains) else {
        return "\(quoted(name)) is no header's name"
      }
      guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
        return "the header \(quoted(name)) has a control character"
      }
    }
    return nil
  }

  /// What Envoy's HTTP/1.1 parser knows. Over HTTP/2 every token is a method.
  static let methods = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY",
    "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "MSEARCH", "NOTIFY", "PROPFIND",
    "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK",
    "UNLOCK", "UNSUBSCRIBE",
  ]

  private static let alphanumerics = (0...0x7f).filter { Automaton.Neighbour($0) == .word }
  static let tokenBytes = ByteSet(alphanumerics + Array("!#$%&'*+-.^`|~".utf8))
  static let hostBytes = ByteSet(alphanumerics + Array("!$%&'()*+,-.:;=@[]~".utf8))
}
