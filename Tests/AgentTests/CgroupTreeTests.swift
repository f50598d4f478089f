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

  @Test func whereNothingIsThereNobodyIsPresent() {
    var located = CgroupTree.Located()
    located.workloads[Name("shop", "a")] = "/nonexistent/x"
    #expect(CgroupTree.isPopulated("/nonexistent/x") == nil)
    #expect(CgroupTree.own(of: "0", mount: "/cg") == nil)
    #expect(CgroupTree.own(mount: "/cg")?.hasPrefix("/cg") == true)
  }
}
