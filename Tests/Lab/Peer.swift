import Glibc

/// `peer.py` and `flood.py` beside this file: servers and clients that the hooks are tried with.
extension Lab {
  private static func script(_ name: String) -> String {
    let here = #filePath
    return here[..<(here.lastIndex(of: "/") ?? here.startIndex)] + "/" + name
  }

  private func peer(_ cgroup: String?, _ netns: Int32?, _ words: [String]) throws -> Child {
    let child = try spawn(in: cgroup, netns: netns, ["python3", Lab.script("peer.py")] + words)
    guard try child.line() == "ready" else { throw LabError("peer.py \(words)", code: EPROTO) }
    return child
  }

  /// A server that answers what it gets; prints `from ADDRESS PORT` for each caller.
  @discardableResult
  package func server(
    _ transport: String = "tcp", in cgroup: String?, netns: Int32? = nil, at address: String, _ port: UInt16
  )
    throws -> Child
  {
    try peer(cgroup, netns, ["serve", transport, address, "\(port)"])
  }

  /// A proxy that dials on in its caller's name; prints `PEER-ADDRESS ORIGINAL-ADDRESS PORT RESULT` for each
  /// caller.
  package func proxyProcess(in cgroup: String, at address: String, _ port: UInt16) throws -> Child {
    try peer(cgroup, nil, ["proxy", address, "\(port)"])
  }

  /// A client for `ask`.
  package func client(in cgroup: String?, netns: Int32? = nil) throws -> Child {
    try peer(cgroup, netns, ["client"])
  }
}

extension Lab {
  /// A process that does things many times, for `ask`; see flood.py.
  package func flooder(in cgroup: String, netns: Int32? = nil) throws -> Child {
    let child = try spawn(in: cgroup, netns: netns, ["python3", Lab.script("flood.py")])
    guard try child.line() == "ready" else { throw LabError("flood.py", code: EPROTO) }
    return child
  }
}

extension Child {
  /// One command of `peer.py client` and its answer: `ok`, an errno's name, `TIMEOUT`, or what was received.
  package func ask(_ command: String, seconds: Double = 10) throws -> String {
    try write(command + "\n")
    return try line(seconds: seconds)
  }
}

/// `tricks.py` beside this file: what the tests of unusual ways out are written in.
extension Lab {
  package func trickWords(_ script: String, _ words: [String]) -> [String] {
    let here = #filePath
    let directory = here[..<(here.lastIndex(of: "/") ?? here.startIndex)]
    return ["python3", "-c", "import sys; sys.path.insert(0, '\(directory)')\nfrom tricks import *\n" + script] + words
  }

  /// Runs a script that has everything of `tricks.py`; answers the words it said.
  package func trick(
    in cgroup: String?, netns: Int32? = nil, seconds: Double = 15, _ words: String..., script: String
  ) throws -> [String] {
    let said = try run(in: cgroup, netns: netns, seconds: seconds, trickWords(script, words))
    guard said.status == 0 else { throw LabError("a trick: \(said.stderr)", code: EIO) }
    return said.stdout.split(whereSeparator: \.isWhitespace).map(String.init)
  }

  /// Starts such a script and waits for its first line, `ready`.
  package func trickster(in cgroup: String?, netns: Int32? = nil, _ words: String..., script: String) throws -> Child {
    let child = try spawn(in: cgroup, netns: netns, trickWords(script, words))
    guard try child.line() == "ready" else { throw LabError("a trick \(words)", code: EPROTO) }
    return child
  }
}
