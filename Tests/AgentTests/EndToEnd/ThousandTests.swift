import Datapath
import Glibc
import Lab
import Testing

@testable import Agent
@testable import Policy

extension EndToEnd {
  @Test func `a look at two thousand pods takes milliseconds, and watches the directories above them alone`() throws {
    try Lab.use { lab in
      let driver = Pods.Driver.systemd
      let tree = CgroupTree(
        mount: try Cgroup.mount(), root: try lab.cgroup("judged"), own: try lab.cgroup("node"))
      var located = CgroupTree.Located()
      located.subtrees["pods"] = "\(tree.root)/\(driver.top)"
      for number in 0..<2000 {
        located.pods[Pods.uid(number)] = Name("shop", "web-\(number)")
        try lab.cgroup("judged/\(driver.parent)/\(driver.directory(Pods.uid(number)))")
      }
      let watch = try CgroupWatch()
      let first = Clock.monotonic()
      let former = CgroupScan(located, tree) { watch.add($0) }
      watch.keepAdded()
      let began = Clock.monotonic()
      let scan = CgroupScan(located, tree, unidentified: true, after: former) { watch.add($0) }
      let took = Clock.monotonic() - began
      #expect(scan.presence == former.presence && scan.directories == former.directories)
      watch.keepAdded()
      #expect(scan.presence.workloads.count == 2000 && scan.presence.subtreeOf.count == 2000)
      #expect(scan.unidentified.isEmpty && !scan.isCut && watch.count <= 5)
      print(
        "a look at 2,000 pods: the first \(Agent.Times.milliseconds(began - first)) ms, the next "
          + "\(Agent.Times.milliseconds(took)) ms, \(watch.count) watches")
      #expect(took < 500_000_000)

      #expect(!watch.drain())
      let path = try lab.cgroup("judged/\(driver.parent)/\(driver.directory(Pods.uid(2000)))")
      #expect(watch.drain(), "a new one is told")
      rmdir(path)
      #expect(watch.drain(), "and one that goes")
      #expect(!watch.drain())
    }
  }

  @Test func `one new pod among a thousand is in force soon`() throws {
    try Node.use { node in
      let driver = Pods.Driver.systemd
      var text = Pods.subtree("pods", driver.top) + PolicyText.egress("web", ports: [8081])
      for number in 0..<1020 { text += Pods.text("web-\(number)", app: number % 2 == 0 ? "web" : "api", uid: Pods.uid(number)) }
      try node.write("pods.yaml", text)
      for number in 0..<1000 { try node.lab.cgroup("judged/\(driver.parent)/\(driver.directory(Pods.uid(number)))") }
      try node.start()
      #expect(try node.status().workloads == 1000)
      for number in 1000..<1020 {
        try node.lab.cgroup("judged/\(driver.parent)/\(driver.directory(Pods.uid(number)))")
        _ = try eventually("the pod to be known") { try node.status().workloads == number + 1 ? true : nil }
      }
      let lines = node.logText.split(separator: "\n").filter { $0.contains("event=generation-in-force") && $0.contains("cause=cgroups") }
      func field(_ name: String) -> [Double] {
        lines.compactMap { line in
          line.split(separator: " ").first { $0.hasPrefix("\(name)=") }.flatMap { Double($0.dropFirst(name.count + 1)) }
        }.sorted()
      }
      let all = field("event_ms")
      try #require(all.count == 20, "each by itself: none waited for another")
      let medians = ["event_ms", "read_ms", "compile_ms", "numbers_ms", "kernel_ms", "took_ms"].map { name in
        let values = field(name)
        return "\(name) \(values[values.count / 2])"
      }
      print("a new pod among 1,000: \(medians.joined(separator: ", ")), at most \(all[all.count - 1])")
      #expect(all[all.count / 2] < 900, "a look once a second would take longer")
    }
  }
}
