import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// What `traffic.py measure` says of a command.
  private struct Measured: Decodable {
    var seconds: Double
    var status: Int32
    var kilobytes: Int
    var stdout: String
    var stderr: String
  }

  /// A file that wants time, memory or to be read for ever.
  private struct Hostile {
    var name: String
    var make: (_ path: String) throws -> Void

    static func text(_ name: String, _ text: String) -> Hostile {
      Hostile(name: name) { try Files.replace($0, with: Array(text.utf8), mode: 0o644) }
    }

    static var all: [Hostile] {
      let bomb = (1...9).reduce("a0: &a0 [x, x, x, x, x, x, x, x, x]\n") { text, level in
        text + "a\(level): &a\(level) ["
          + Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ") + "]\n"
      }
      let policy = PolicyText.egress("web", ports: [8082])
      return [
        .text("an alias bomb", bomb + policy),
        Hostile(name: "a sparse document of 100 MB") { path in
          try Files.replace(path, with: [])
          guard truncate(path, 100 << 20) == 0 else { throw LabError("truncate \(path)") }
        },
        Hostile(name: "a document of 100 MB of text") { path in
          try Files.replace(path, with: Array(repeating: UInt8(ascii: "a"), count: 100 << 20))
        },
        Hostile(name: "a FIFO") { path in
          guard mkfifo(path, 0o600) == 0 else { throw LabError("mkfifo \(path)") }
        },
        Hostile(name: "a symlink to itself") { path in
          guard symlink(path, path) == 0 else { throw LabError("symlink \(path)") }
        },
        Hostile(name: "a device without end") { path in
          guard symlink("/dev/zero", path) == 0 else { throw LabError("symlink \(path)") }
        },
        .text("NUL bytes", policy + "\0\0\0"),
        .text("a NUL in a value", policy.split(separator: "web").joined(separator: "w\0b")),
        .text("sequences nested deeply", String(repeating: "[", count: 500_000)),
        .text("mappings nested deeply", String(repeating: "{a: ", count: 200_000)),
        .text("blocks nested deeply", (0..<2000).map { String(repeating: " ", count: $0) + "a:\n" }.joined()),
        .text("a million documents", String(repeating: "---\n{}\n", count: 500_000)),
      ]
    }
  }

  /// The highest resident memory of a process so far, in kB.
  private func peak(_ pid: Int32) throws -> Int {
    let text = try #require(readFile("/proc/\(pid)/status"))
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(Int(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1]))
  }

  @Test func `hostile files are refused in under a second, in bounded memory, and change nothing`() throws {
    try Node.use { node in
      try node.write(
        "all.yaml", node.workload("web") + node.workload("api") + PolicyText.egress("web", ports: [8081]))
      for port: UInt16 in [8081, 8082] { try node.server("api", port) }
      let started = try node.start()
      let web = try node.client("web")
      for hostile in Hostile.all {
        // Made aside: the agent meets it whole, as it met the others.
        let aside = "\(node.lab.files)/aside"
        let path = "\(node.policies)/hostile.yaml"
        try hostile.make(aside)
        if hostile.name.contains("itself") {
          try hostile.make(path)
        } else {
          #expect(rename(aside, path) == 0)
        }
        let began = Clock.monotonic()
        let answer = try node.reload()
        let seconds = Double(Clock.monotonic() - began) / 1e9
        #expect(!answer.isTaken && seconds < Lab.slowness, "\(hostile.name): \(seconds) s")
        #expect(answer.status.problems.allSatisfy { $0.file == path }, "\(hostile.name)")
        #expect(answer.status.generation == started.generation)
        #expect(try web.ask("connect 127.0.0.1 8081") == "ok", "\(hostile.name)")
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", "\(hostile.name)")

        let check = try node.traffic(nil, "measure", Node.binary, "check", node.policies, awaiting: nil)
        let measured = try #require(JSON.decode(Measured.self, Array(check.finish(seconds: 30).stdout.utf8)))
        #expect(measured.status == 1 && measured.seconds < Lab.slowness, "\(hostile.name): \(measured)")
        #expect(measured.kilobytes < 200 << 10, "\(hostile.name): \(measured.kilobytes) kB")
        print(
          "\(hostile.name): agent \(Int(seconds * 1000)) ms, check \(Int(measured.seconds * 1000)) ms, "
            + "\(measured.kilobytes) kB; \(answer.status.problems.first?.description ?? "no problem")")
        unlink(path)
        unlink(aside)
      }
      let loop = "\(node.lab.files)/loop"
      #expect(symlink(loop, loop) == 0)
      let check = try node.weir("check", loop)
      #expect(
        check.status == 2 && check.stderr.hasPrefix("weir check: open \(loop): ELOOP; "), "\(check.stderr)")
      #expect(try node.reload().isTaken)
      let kilobytes = try peak(started.pid)
      print("the agent's highest resident memory: \(kilobytes) kB")
      #expect(kilobytes < 200 << 10)
    }
  }
}
