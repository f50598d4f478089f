import Glibc
import Policy
import Testing

@testable import Agent

struct RunDirectoryTests {
  private let place = TemporaryDirectory()

  @Test func aFileIsReplacedWholeAndNothingIsLeftBeside() throws {
    let path = "\(place.path)/f"
    try Files.replace(path, with: Array("one".utf8))
    try Files.replace(path, with: Array("two".utf8), durable: true)
    #expect(try Files.read(path, limit: 10) == Array("two".utf8))
    #expect(Files.names(in: place.path) == ["f"])
    var information = stat()
    #expect(stat(path, &information) == 0 && information.st_mode & 0o777 == 0o600)
  }

  @Test func aFileThatCannotBeReplacedStaysAsItIs() throws {
    mkdir("\(place.path)/d", 0o755)
    place.write("d/x", "")
    #expect(throws: SystemError("rename", "\(place.path)/d", code: EISDIR)) {
      try Files.replace("\(place.path)/d", with: [])
    }
    #expect(Files.names(in: place.path) == ["d"])
  }

  @Test func aFileLargerThanItsLimitIsNotRead() throws {
    place.write("f", "12345")
    #expect(throws: SystemError("read", "\(place.path)/f", code: EFBIG)) {
      try Files.read("\(place.path)/f", limit: 4)
    }
    #expect(try Files.read("\(place.path)/none", limit: 4) == nil)
  }

  @Test func theFileOfARunnerThatIsGoneIsRemovedWithItsCgroup() {
    mkdir("\(place.path)/cg", 0o755)
    for name in ["shop", "shop/dead", "shop/live"] { mkdir("\(place.path)/cg/\(name)", 0o755) }
    mkdir("\(place.path)/w", 0o755)
    // The pid is this process's, the time is not: a pid that was given again.
    place.write("w/shop_dead.yaml", "# pid \(getpid()) starttime 1\nkind: Workload\n")
    place.write("w/shop_live.yaml", RunLeftovers.mark(pid: getpid()) + "\n")
    place.write("w/shop_byhand.yaml", "kind: Workload\n")
    #expect(RunLeftovers.remove(in: "\(place.path)/w", root: "\(place.path)/cg") == ["shop/dead"])
    #expect(Files.names(in: "\(place.path)/w") == ["shop_byhand.yaml", "shop_live.yaml"])
    #expect(Files.names(in: "\(place.path)/cg/shop") == ["live"])
    #expect(RunLeftovers.isRunning("\(place.path)/w/shop_live.yaml"))
    #expect(!RunLeftovers.isRunning("\(place.path)/w/shop_byhand.yaml"))
  }

  @Test func aCgroupWithProcessesKeepsItsFile() {
    for name in ["cg", "cg/shop", "cg/shop/busy", "w"] { mkdir("\(place.path)/\(name)", 0o755) }
    place.write("cg/shop/busy/cgroup.events", "populated 1\nfrozen 0\n")
    place.write("w/shop_busy.yaml", "# pid 1 starttime 99999999999\n")
    #expect(RunLeftovers.remove(in: "\(place.path)/w", root: "\(place.path)/cg").isEmpty)
    #expect(Files.names(in: "\(place.path)/w") == ["shop_busy.yaml"])
  }

  @Test func aWorkloadFileHoldsStringsWhateverTheyLookLike() throws {
    let options = Command.run.options
    let arguments = try Arguments.parse(
      [
        "--name", "shop/web", "--label", "version=1.0", "--label", "x=a=\"b", "--port", "http=8080", "--port",
        "dns=53/UDP", "--service-account", "no",
      ], options: options)
    let file = try WorkloadFile(try #require(arguments.last("--name")), arguments)
    #expect(file.fileName == "shop_web.yaml")
    #expect(
      file.text(mark: "# pid 1 starttime 2") == """
        # pid 1 starttime 2
        apiVersion: weir.dev/v1alpha1
        kind: Workload
        metadata:
          name: "web"
          namespace: "shop"
          labels:
            "version": "1.0"
            "x": "a=\\"b"
        spec:
          cgroup: "shop/web"
          serviceAccountName: "no"
          ports:
          - name: "http"
            port: 8080
            protocol: TCP
          - name: "dns"
            port: 53
            protocol: UDP

        """)
  }

  @Test(arguments: ["", "a/b/c", "/a", "a/", "A/b", "../x", "a.b/c", "a/-b", "a b", "a/b_c"])
  func aNameThatCannotBeOneIsRefused(name: String) {
    #expect(throws: Failure.self) { try WorkloadFile(name, Arguments()) }
  }

  @Test func aNameWithoutANamespaceIsInDefault() throws {
    #expect(try WorkloadFile("web", Arguments()).name == Name("default", "web"))
  }

  @Test func anEnvoysStatisticsAreReadAsItWritesThem() {
    let prefix = "extension_config_discovery.http_filter.l7policy."
    let text = [
      "version_text: \"3\"", "config_fail: 2", "update_attempt: 6", "update_failure: 1",
      "update_rejected: 2", "update_success: 4", "version: 2744517546871237796",
      "update_duration: No recorded values",
    ].map { prefix + $0 }.joined(separator: "\n")
    #expect(ProxyAdmin.parse(text) == ProxyAdmin.State(version: "3", success: 4, refused: 3))
    #expect(ProxyAdmin.parse(prefix + "version_text: \"\"\n") == ProxyAdmin.State())
    #expect(ProxyAdmin(path: "\(place.path)/none").state(milliseconds: 50) == nil)
  }
}
