/// What a set of paths held: the objects of every file that is right, and every problem of every file that is
/// not.
public struct Reading: Sendable {
  public var set = PolicySet()
  /// By file, line and column. A file with one contributes nothing to `set`.
  public var problems: [Problem] = []
  /// Files looked at, right or not.
  public var files = 0
  /// Objects in `set`; a List counts as its items.
  public var objects = 0

  public init() {}

  /// Reads files and directories (not below them; names that start with a dot are passed over), in sorted
  /// order. Never throws: what cannot be opened is a problem too. A file reached twice is read once.
  public init(paths: [String]) {
    var sources: [FileReading] = []
    var known: Set<PolicyFile.Identity> = []
    for path in paths {
      switch PolicyFile.files(at: path) {
      case .failure(let problem): problems.append(problem)
      case .success(let found):
        for file in found {
          do throws(Problem) {
            let contents = try PolicyFile.read(file)
            guard known.insert(contents.identity).inserted else { continue }
            sources.append(FileReading(file: shown(file), bytes: contents.bytes))
          } catch {
            problems.append(error)
          }
          files += 1
        }
      }
    }
    join(sources)
  }

  /// The same for texts that are in memory, each with the name its problems carry.
  public init(texts: [(file: String, text: String)]) {
    files = texts.count
    join(texts.map { FileReading(file: $0.file, bytes: Array($0.text.utf8)) })
  }

  /// Looks at the files together and takes over the objects of those that are right.
  private mutating func join(_ sources: [FileReading]) {
    var first: [Claim.Key: Claim] = [:]
    var wrong: [Problem] = []
    // Also the claims of files that are wrong already, so that one run tells everything.
    var conflicts: [Int: [Problem]] = [:]
    for (index, source) in sources.enumerated() {
      for claim in source.claims {
        if let other = first[claim.key] {
          conflicts[index, default: []].append(claim.conflict(with: other))
        } else {
          first[claim.key] = claim
        }
      }
    }
    for (index, source) in sources.enumerated() {
      let all = source.problems + conflicts[index, default: []].prefix(Findings.limit)
      if all.isEmpty { source.objects.forEach { take($0) } }
      wrong += all
    }
    problems += wrong
    problems.sort { ($0.file, $0.line, $0.column, $0.field) < ($1.file, $1.line, $1.column, $1.field) }
  }

  private mutating func take(_ object: Object) {
    objects += 1
    switch object {
    case .namespace(let namespace): set.namespaces[namespace.name] = namespace
    case .endpoint(let endpoint): set.endpoints[endpoint.name] = endpoint
    case .proxy(let proxy): set.proxies[proxy.name] = proxy
    case .networkPolicy(let policy): set.networkPolicies.append(policy)
    case .authorizationPolicy(let policy): set.authorizationPolicies.append(policy)
    }
  }
}

/// One file on its own.
private struct FileReading {
  var objects: [Object] = []
  var claims: [Claim] = []
  var problems: [Problem] = []

  init(file: String, bytes: [UInt8]) {
    let findings = Findings(file: file, bytes: bytes)
    let decoding = Decoding(findings)
    do throws(Problem) {
      try FileReading.requireText(bytes, findings)
      try bytes.withUnsafeBufferPointer { (buffer) throws(Problem) in
        var parser = YAML.Parser(buffer, findings: findings)
        while let document = try parser.next() {
          if !document.isNull { decoding.object(document) }
        }
      }
    } catch {
      findings.add(error)
    }
    problems = findings.problems
    claims = decoding.claims
    objects = decoding.objects
  }

  private static func requireText(_ bytes: [UInt8], _ findings: Findings) throws(Problem) {
    func fail(_ offset: Int, _ message: String) -> Problem {
      let place = findings.lineAndColumn(ofByte: offset)
      return findings.problem(line: place.line, column: place.column, FieldPath(), message)
    }
    do throws(UTF8.ValidationError) {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      throw fail(error.byteOffsets.lowerBound, "not UTF-8")
    }
    if let offset = bytes.offset(of: 0, from: 0) { throw fail(offset, "a NUL byte; expected text") }
    if countTagDirectives(bytes) > YAML.Limit.tagDirectives {
      throw fail(0, "more than \(YAML.Limit.tagDirectives) %TAG directives; none is needed")
    }
  }

  private static func countTagDirectives(_ bytes: [UInt8]) -> Int {
    var count = 0
    var start = 0
    while let offset = bytes.offset(of: UInt8(ascii: "%"), from: start) {
      start = offset + 1
      if bytes[start...].starts(with: "TAG".utf8) { count += 1 }
    }
    return count
  }
}
