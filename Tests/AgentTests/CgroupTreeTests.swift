import Policy
import Testing

@testable import Agent

struct CgroupTreeTests {
  private let tree = CgroupTree(mount: "/cg", root: "/cg/weir", own: "/cg/weir/system/agent")
  private let place = Place(file: "w.yaml", line: 3, column: 5)

  private func workload(_ name: String, _ cgroup: String?) -> Endpoint {
    Endpoint(
      name: Name("shop", name), labels: [:], addresses: [], serviceAccount: "default", ports: [],
      cgroup: cgroup, place: place)
  }

  @Test(arguments: [
    ("shop/web", "/cg/weir/shop/web"), ("shop//web/", "/cg/weir/shop/web"),
    ("/cg/weir/shop/web", "/cg/weir/shop/web"), ("/weir/shop/web", "/cg/weir/shop/web"),
  ])
  func aCgroupIsRelativeToTheRootOrAbsoluteInTheMount(text: String, directory: String) {
    #expect(tree.directory(text) == .success(directory))
  }

  @Test(arguments: ["", "/", ".", "../x", "a/../b", "/cg", "/cg/weir", "/cg/weirs/x", "/other/x", "a\0b"])
  func whatIsNotBelowTheRootIsRefused(text: String) {
    #expect(throws: Failure.self) { try tree.directory(text).get() }
  }

  @Test(arguments: ["system", "system/agent", "/cg/weir/system"])
  func theAgentsOwnCgroupIsNoWorkload(text: String) {
    #expect {
      try tree.directory(text).get()
    } throws: {
      "\($0)" == "\(text) holds the agent itself, which is never judged; give it a cgroup of its own"
    }
  }

  @Test func oneCgroupHasOneOwner() {
    var set = PolicySet()
    for endpoint in [workload("a", "x"), workload("b", "/cg/weir/x"), workload("pod", nil)] {
      set.endpoints[endpoint.name] = endpoint
    }
    let (located, problems) = tree.locate(set)
    #expect(located.workloads == [Name("shop", "a"): "/cg/weir/x"])
    #expect(
      problems.map(\.description) == [
        "w.yaml:3:5: spec.cgroup: /cg/weir/x is the cgroup of Workload shop/a already"
      ])
  }

  private func subtree(_ name: String, _ cgroup: String) -> Subtree {
    Subtree(name: name, cgroup: cgroup, place: place)
  }

  @Test(arguments: [
    ("pods", "/cg/weir/pods"), ("/weir/pods", "/cg/weir/pods"), ("/cg/weir/pods/", "/cg/weir/pods"),
  ])
  func `a Subtree is relative to the root or absolute in the mount, as a workload is`(text: String, directory: String) {
    var set = PolicySet()
    set.subtrees["pods"] = subtree("pods", text)
    #expect(tree.locate(set).located.subtrees == ["pods": directory])
  }

  @Test(arguments: [".", "/weir", "/cg/weir"])
  func `a Subtree may be the root itself, unless the agent is in it`(text: String) {
    var set = PolicySet()
    set.subtrees["all"] = subtree("all", text)
    let outside = CgroupTree(mount: "/cg", root: "/cg/weir", own: "/cg/agent")
    #expect(outside.locate(set).located.subtrees == ["all": "/cg/weir"])
    #expect(outside.locate(set).problems.isEmpty)
    #expect(
      tree.locate(set).problems.map(\.message) == [
        "\(text) holds the agent itself, which is never judged; give it a cgroup of its own"
      ])
    #expect(throws: Failure.self) { try outside.directory(text).get() }
  }

  @Test func `of nested Subtrees the nearest counts, and a name that only begins alike is another`() {
    var located = CgroupTree.Located()
    located.subtrees = ["outer": "/cg/weir/a", "inner": "/cg/weir/a/b"]
    #expect(located.subtree(of: "/cg/weir/a/x") == "outer")
    #expect(located.subtree(of: "/cg/weir/a/b/x") == "inner")
    #expect(located.subtree(of: "/cg/weir/a/b") == "inner")
    #expect(located.subtree(of: "/cg/weir/ab") == nil)
  }

  @Test func `a Subtree and a workload have no cgroup in common, however it is written`() {
    var set = PolicySet()
    set.subtrees["pods"] = subtree("pods", "/weir/x")
    set.endpoints[Name("shop", "a")] = workload("a", "x")
    #expect(tree.locate(set).problems.map(\.message) == ["x is the cgroup of Subtree pods already"])
  }

  @Test func whereNothingIsThereNobodyIsPresent() {
    var located = CgroupTree.Located()
    located.workloads[Name("shop", "a")] = "/nonexistent/x"
    located.pods["u-1"] = Name("shop", "b")
    located.subtrees["pods"] = "/nonexistent/pods"
    #expect(CgroupScan(located, tree, unidentified: true).presence == Presence())
    #expect(CgroupTree.isPopulated("/nonexistent/x") == nil)
    #expect(CgroupTree.own(of: "0", mount: "/cg") == nil)
    #expect(CgroupTree.own(mount: "/cg")?.hasPrefix("/cg") == true)
  }
}
