import Glibc
import Testing

@testable import Policy

@Test("a file with a problem contributes nothing, the others all, and every problem is told")
func filesStandAlone() {
  let reading = Reading(texts: [
    (
      "b.yaml",
      workload("cgroup: a") + "---\n" + networkPolicy("ingress: x") + "---\n"
        + workload("cgroup: 1", name: "x")
    ),
    (
      "a.yaml",
      workload("cgroup: b", name: "other") + "---\n"
        + networkPolicy("{}").replacing("name: p", with: "name: q")
    ),
    ("c.yaml", "a: [\n"),
  ])
  #expect(reading.files == 3 && reading.objects == 2)
  #expect(reading.set.endpoints.keys.map(\.name) == ["other"])
  #expect(reading.set.networkPolicies.count == 1)
  #expect(reading.problems.map { "\($0.file):\($0.line)" } == ["b.yaml:11", "b.yaml:17", "c.yaml:2"])
}

@Test(
  "what only one object may have is refused the second time, with the first's place",
  arguments: [
    (
      "the same policy", networkPolicy("{}"), networkPolicy("{}"), "3:18 metadata.name",
      "NetworkPolicy shop/p is already defined (a.yaml:3:18)"
    ),
    (
      "the same Namespace", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
      "3:18 metadata.name", "Namespace a is already defined"
    ),
    (
      "the same Workload", workload("cgroup: a"), workload("cgroup: b"), "3:18 metadata.name",
      "Workload shop/web is already defined"
    ),
    (
      "a Pod of a Workload's name", workload("cgroup: a"), pod(""), "3:18 metadata.name",
      "Pod shop/web has the name of Workload shop/web (a.yaml:3:18)"
    ),
    (
      "the same cgroup", workload("cgroup: a"), workload("cgroup: a", name: "x"), "5:11 spec.cgroup",
      "the cgroup `a` is already that of Workload shop/web (a.yaml:5:11)"
    ),
    (
      "a Proxy in a Workload's cgroup", workload("cgroup: a"),
      proxy("type: Envoy\ncgroup: a\nlisten: {addresses: [127.0.0.1], port: 1}"),
      "6:11 spec.cgroup", "already that of Workload shop/web"
    ),
    (
      "the same address", workload("cgroup: a\naddresses: [10.0.0.5]"),
      pod("status: {podIP: 10.0.0.5}", name: "x"), "4:17 status.podIP",
      "the address 10.0.0.5 is already that of Workload shop/web (a.yaml:6:15)"
    ),
  ])
func onlyOnce(sentence: String, first: String, second: String, place: String, says: String) {
  let reading = Reading(texts: [("a.yaml", first), ("b.yaml", second)])
  #expect(reading.problems.map { "\($0.line):\($0.column) \($0.field)" } == [place])
  #expect(reading.problems.map(\.file) == ["b.yaml"])
  #expect(reading.problems.first?.message.contains(says) == true, "\(reading.problems)")
  #expect(reading.objects == 1)
  #expect(Reading(texts: [("a.yaml", first + "---\n" + second)]).problems.count == 1)
}

@Test("names of different kinds and namespaces, and pods on the host's address, do not collide")
func noCollision() {
  let host = "spec: {hostNetwork: true}\nstatus: {podIP: 192.0.2.1}"
  let reading = Reading(texts: [
    ("a.yaml", networkPolicy("{}")), ("b.yaml", authorizationPolicy("{}")),
    ("c.yaml", networkPolicy("{}").replacing("shop", with: "other")),
    ("d.yaml", pod(host, name: "x")), ("e.yaml", pod(host, name: "z")),
    ("f.yaml", pod("status: {phase: Failed, podIP: 10.0.0.5}", name: "old")),
    ("g.yaml", pod("status: {podIP: 10.0.0.5}", name: "new")),
  ])
  #expect(reading.problems.isEmpty, "\(reading.problems)")
  #expect(reading.objects == 7)
  #expect(reading.set.endpoints[Name("shop", "x")]?.hostNetwork == true)
}

@Test("a second claim is told also where the first stands in a file that is wrong")
func conflictsWithWrongFiles() {
  let reading = Reading(texts: [
    ("a.yaml", workload("cgroup: a") + "---\nx: y\n"), ("b.yaml", workload("cgroup: a")),
  ])
  #expect(Set(reading.problems.map(\.file)) == ["a.yaml", "b.yaml"])
  #expect(reading.objects == 0)
}

@Test("a file with very many problems tells a thousand of them")
func boundedProblems() {
  let items = String(repeating: "- {}\n", count: 5000)
  let problems = Reading(texts: [("a.yaml", "apiVersion: v1\nkind: List\nitems:\n" + items)]).problems
  #expect(problems.count == 1001)
  #expect(problems.contains { $0.message.contains("more than 1000 problems") })
}
