import Datapath
import Glibc
import Lab
import Testing

@testable import Agent

extension EndToEnd {
  /// api outside all Subtrees listens on 8081 and 8082; who has the label app=web may call 8081 alone.
  private func api(_ node: Node) throws {
    try node.write("api.yaml", node.workload("api") + PolicyText.egress("web", ports: [8081]))
    for port: UInt16 in [8081, 8082] { try node.server("api", port) }
  }

  private func client(_ node: Node, in cgroup: String) throws -> Child {
    try node.lab.client(in: "judged/\(cgroup)")
  }

  @Test(arguments: Pods.Driver.allCases)
  func `a pod is a workload as soon as its cgroup is there, under each driver`(driver: Pods.Driver) throws {
    try Node.use { node in
      try api(node)
      try node.write(
        "pods.yaml",
        Pods.subtree("pods", driver.top) + Pods.text("web", app: "web", uid: Pods.uid(1))
          + Pods.text("gone", app: "web", uid: Pods.uid(2)))
      _ = try node.lab.cgroup("judged/\(driver.parent)")
      try node.start()
      let pod = "\(driver.parent)/\(driver.directory(Pods.uid(1)))"
      let web = try client(node, in: "\(pod)/cri-containerd-0123.scope")
      _ = try eventually("the pod to be known") { try node.isHere("shop/web") ? true : nil }
      let row = try #require(try node.known().first { $0.name == "shop/web" })
      #expect(row.cgroup == "\(node.root)/\(pod)" && row.subtree == "pods")
      #expect(row.cgroupId == Cgroup.id("\(node.root)/\(pod)"))
      #expect(try !node.isHere("shop/gone"))
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
      // What a pod makes below its own cgroup is its own, though it bears another's name.
      let inner = try client(node, in: "\(pod)/\(driver.parent)/\(driver.directory(Pods.uid(2)))")
      usleep(1_200_000)
      #expect(try !node.isHere("shop/gone"))
      #expect(try inner.ask("connect 127.0.0.1 8082") == "EPERM")
      web.kill()
      inner.kill()
    }
  }

  @Test func `of fifty processes that connect at once in a new pod each is refused until its policy speaks`() throws {
    try Node.use { node in
      try api(node)
      let driver = Pods.Driver.systemd
      var text = Pods.subtree("pods", driver.top)
      for number in 1...50 { text += Pods.text("web-\(number)", app: "web", uid: Pods.uid(number)) }
      try node.write("pods.yaml", text)
      _ = try node.lab.cgroup("judged/\(driver.parent)")
      try node.start()
      let names = (1...50).map { driver.directory(Pods.uid($0)) }
      let denied = try node.startPods(Array(names[..<25]), in: driver.parent, port: 8082)
      let allowed = try node.startPods(Array(names[25...]), in: driver.parent, container: "-", port: 8081)
      let rows = (try node.seen(denied), try node.seen(allowed))
      for (rows, verdict) in [(rows.0, "EPERM"), (rows.1, "ok")] {
        #expect(rows.count == 25)
        for row in rows {
          #expect(row.answers == ["ECONNREFUSED", verdict] || row.answers == [verdict], "\(row)")
        }
      }
      let all = rows.0 + rows.1
      #expect(all.contains { $0.answers.first == "ECONNREFUSED" }, "nobody was early enough to show anything")
      let times = all.map(\.milliseconds).sorted()
      print(
        "50 pods, two at a time: \(all.count { $0.answers.count == 2 }) were early; from mkdir to verdict "
          + "\(times[times.count / 2]) ms median, \(times[times.count - 1]) ms at most")
      #expect(times[times.count / 2] < 500, "a scan once a second would take longer")
      #expect(try node.scrape().contains("reason=\"unidentified\""))
    }
  }

  @Test func `without an agent a new pod stays refused, and is judged when one is back`() throws {
    try Node.use { node in
      try api(node)
      let driver = Pods.Driver.cgroupfs
      try node.write(
        "pods.yaml",
        Pods.subtree("pods", driver.top) + Pods.text("web", app: "web", uid: Pods.uid(1)))
      _ = try node.lab.cgroup("judged/\(driver.parent)")
      try node.start()
      node.killAgent()
      let web = try client(node, in: "\(driver.parent)/\(driver.directory(Pods.uid(1)))")
      for _ in 0..<3 {
        #expect(try web.ask("connect 127.0.0.1 8081") == "ECONNREFUSED")
        usleep(500_000)
      }
      try node.start()
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM")
    }
  }

  @Test func `a pod of a description that comes after its processes is known then, and forgotten with it`() throws {
    try Node.use { node in
      try api(node)
      let driver = Pods.Driver.systemd
      try node.write("pods.yaml", Pods.subtree("pods", driver.top))
      let pod = "\(driver.parent)/\(driver.directory(Pods.uid(1)))"
      try node.start()
      let web = try client(node, in: "\(pod)/container")
      #expect(try web.ask("connect 127.0.0.1 8081") == "ECONNREFUSED")
      let unknown = try eventually("the stranger to be listed") {
        try node.known().first { $0.name == WorkloadStatus.unidentified }
      }
      #expect(unknown.cgroup == "\(node.root)/\(pod)" && unknown.looks == "pod \(Pods.uid(1))")
      #expect(unknown.subtree == "pods" && unknown.cgroupId == Cgroup.id("\(node.root)/\(pod)"))
      _ = try eventually("the metric") { try node.scrape().contains("\nweir_unidentified 1\n") ? true : nil }
      let table = try node.weir("workloads", "--run-dir", node.runDirectory).stdout
      #expect(table.contains("unidentified") && table.contains("(pod \(Pods.uid(1)))"), "\(table)")
      try node.write("web.yaml", Pods.text("web", app: "web", uid: Pods.uid(1)))
      _ = try eventually("the pod to be known") { try node.isHere("shop/web") ? true : nil }
      #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
      _ = try eventually("the metric") { try node.scrape().contains("\nweir_unidentified 0\n") ? true : nil }
      node.remove("web.yaml")
      _ = try node.reload()
      #expect(try web.ask("connect 127.0.0.1 8081") == "ECONNREFUSED")
    }
  }

  @Test func `a pod on the host's network is let alone`() throws {
    try Node.use { node in
      try api(node)
      let driver = Pods.Driver.systemd
      let host = Pods.text("web", app: "web", uid: Pods.uid(1), more: "spec: {hostNetwork: true}")
      try node.write("pods.yaml", Pods.subtree("pods", driver.top) + host)
      let web = try client(node, in: "\(driver.parent)/\(driver.directory(Pods.uid(1)))/container")
      let other = try client(node, in: "\(driver.parent)/\(driver.directory(Pods.uid(2)))/container")
      try node.start()
      #expect(try web.ask("connect 127.0.0.1 8082") == "ok")
      #expect(try other.ask("connect 127.0.0.1 8082") == "ECONNREFUSED")
    }
  }

  @Test func `a unit is found by its name below slices, and nowhere else`() throws {
    try Node.use { node in
      func unit(_ name: String, _ unit: String) -> String {
        """
        apiVersion: weir.dev/v1alpha1
        kind: Workload
        metadata: {name: \(name), namespace: shop, labels: {app: web}}
        spec: {unit: '\(unit)'}
        ---

        """
      }
      try api(node)
      try node.write(
        "units.yaml",
        unit("one", "one.service") + unit("two", "two@blue.service") + unit("three", #"a\x2db.scope"#)
          + unit("four", "four.slice"))
      try node.start()
      let paths = [
        "shop/one": "system.slice/one.service", "shop/two": "system.slice/system-two.slice/two@blue.service",
        "shop/three": #"user.slice/a\x2db.scope"#, "shop/four": "four.slice",
      ]
      // First where it would be another's doing.
      let impostor = try client(node, in: "other.service/system.slice/one.service")
      for (name, path) in paths.sorted(by: { $0.key < $1.key }) {
        let web = try client(node, in: path)
        _ = try eventually("\(name) to be known") { try node.isHere(name) ? true : nil }
        #expect(try node.known().first { $0.name == name }?.cgroup == "\(node.root)/\(path)")
        #expect(try web.ask("connect 127.0.0.1 8081") == "ok")
        #expect(try web.ask("connect 127.0.0.1 8082") == "EPERM", "\(name)")
        web.kill()
      }
      #expect(try impostor.ask("connect 127.0.0.1 8082") == "ok", "outside all Subtrees, and nobody's")
    }
  }
}
