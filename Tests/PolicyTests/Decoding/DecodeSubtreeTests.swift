import Testing

@testable import Policy

private func subtree(_ spec: String, name: String = "pods") -> String {
  "apiVersion: weir.dev/v1alpha1\nkind: Subtree\nmetadata: {name: \(name)}\nspec: {\(spec)}\n"
}

private func read(_ text: String) throws -> Reading {
  let reading = Reading(texts: [("t.yaml", text)])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return reading
}

@Test func `a Subtree is read as written; with nothing said it refuses, faults refuse, and nothing is audited`() throws {
  let reading = try read(
    subtree("cgroup: kubepods.slice, unidentified: allow, onFault: allow, audit: true") + "---\n"
      + subtree("cgroup: /system.slice", name: "units") + "---\n" + subtree("cgroup: .", name: "root"))
  #expect(reading.objects == 3)
  let pods = try #require(reading.set.subtrees["pods"])
  #expect(pods.cgroup == "kubepods.slice" && pods.audit && pods.place.line == 1)
  #expect(pods.unidentified == .allow && pods.onFault == .allow)
  let units = try #require(reading.set.subtrees["units"])
  #expect(units.cgroup == "/system.slice" && !units.audit)
  #expect(units.unidentified == nil && units.onFault == .refuse)
  #expect(reading.set.subtrees["root"]?.cgroup == ".")
}

@Test func `a Workload may name its unit in the place of its cgroup`() throws {
  for unit in ["nginx.service", "web@blue.service", "init.scope", "app.slice", #"a\x2db.mount"#, "_x.service"] {
    let set = try read(workload("unit: '\(unit)'\nports: [{name: http, port: 80}]")).set
    let endpoint = try #require(set.endpoints[Name("shop", "web")])
    #expect(endpoint.unit == unit && endpoint.cgroup == nil && endpoint.isWorkload)
  }
}

@Test func `a Pod's cgroup is called by its uid, a mirror pod's by its file's hash`() throws {
  func uid(_ metadata: String) throws -> String? {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, \(metadata)}\n"
    return try read(text).set.endpoints[Name("shop", "web")]?.uid
  }
  #expect(try uid("uid: 6f1c2e1a-0000-4000-8000-000000000001") == "6f1c2e1a-0000-4000-8000-000000000001")
  #expect(try uid("labels: {}") == nil)
  let hash = "kubernetes.io/config.hash: c0ffee"
  #expect(try uid("uid: a-b, annotations: {\(hash), kubernetes.io/config.mirror: c0ffee}") == "c0ffee")
  #expect(try uid("uid: a-b, annotations: {\(hash)}") == "a-b", "anybody can write the one; the other is looked after")
}

@Test(arguments: [
  Refusal(
    "no cgroup", subtree("audit: true"), "4:7 spec.cgroup", says: "required"),
  Refusal(
    "a Subtree in a namespace",
    "apiVersion: weir.dev/v1alpha1\nkind: Subtree\nmetadata: {name: a, namespace: b}\nspec: {cgroup: a}\n",
    "3:32 metadata.namespace", says: "in no namespace"),
  Refusal("another answer", subtree("cgroup: a, unidentified: deny"), "4:33 spec.unidentified", says: "refuse, allow"),
  Refusal("a word for a boolean", subtree("cgroup: a, audit: 'yes'"), "4:26 spec.audit", says: "true or false"),
  Refusal("an unknown field", subtree("cgroup: a, on-fault: allow"), "4:19 spec.on-fault", says: "did you mean `onFault`"),
  Refusal("a cgroup above", subtree("cgroup: ../a"), "4:16 spec.cgroup", says: "`.`, the cgroup root"),
  Refusal("the mount's root", subtree("cgroup: /"), "4:16 spec.cgroup", says: "below the cgroup root"),
  Refusal(
    "a Workload with both", workload("cgroup: a\nunit: a.service"), "6:9 spec.unit", says: "found both"),
  Refusal("a unit without its kind", workload("unit: nginx"), "5:9 spec.unit", says: "expected a systemd unit"),
  Refusal("a unit of no processes", workload("unit: backup.timer"), "5:9 spec.unit", says: "expected a systemd unit"),
  Refusal("a template", workload("unit: web@.service"), "5:9 spec.unit", says: "no template"),
  Refusal("the root slice", workload("unit: -.slice"), "5:9 spec.unit", says: "not `-.slice`"),
  Refusal("a path", workload("unit: system.slice/a.service"), "5:9 spec.unit", says: "expected a systemd unit"),
  Refusal(
    "a uid that is a path", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, uid: ../b}\n", "3:26 metadata.uid",
    says: "expected a uid"),
  Refusal(
    "a hash that is a path",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {kubernetes.io/config.mirror: x, "
      + "kubernetes.io/config.hash: a/b}}\n", "3:94 metadata.annotations[kubernetes.io/config.hash]",
    says: "expected a uid"),
])
func `what says where processes are is refused at the value that is wrong`(refusal: Refusal) {
  #expect(places(refusal.text) == refusal.places)
  #expect(message(refusal.text).contains(refusal.says), "\(message(refusal.text))")
}

@Test(arguments: [
  (subtree("cgroup: a"), subtree("cgroup: b"), "Subtree pods is already defined"),
  (subtree("cgroup: a"), subtree("cgroup: a", name: "b"), "the cgroup `a` is already that of Subtree pods"),
  (subtree("cgroup: a"), workload("cgroup: a"), "the cgroup `a` is already that of Subtree pods"),
  (workload("unit: a.service"), workload("unit: a.service", name: "b"), "the unit `a.service` is already that of"),
  (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a, uid: u-1}\n",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: b, uid: u-1}\n", "the uid `u-1` is already that of Pod default/a"
  ),
])
func `a Subtree's name and cgroup, a unit and a uid stand once`(first: String, second: String, says: String) {
  let reading = Reading(texts: [("a.yaml", first), ("b.yaml", second)])
  #expect(reading.problems.count == 1 && reading.problems.first?.file == "b.yaml")
  #expect(reading.problems.first?.message.contains(says) == true, "\(reading.problems)")
  #expect(reading.objects == 1)
}

@Test func `a Subtree that changes is no change of the inventory, and one that goes is gone`() throws {
  var collection = Collection()
  let pod = FileReading(file: "pod.yaml", bytes: Array(pod("").utf8))
  func reading(_ text: String) -> FileReading { FileReading(file: "s.yaml", bytes: Array(text.utf8)) }
  let first = collection.join([pod, reading(subtree("cgroup: a"))]).set
  let second = collection.join([pod, reading(subtree("cgroup: a, audit: true"))]).set
  #expect(first.inventoryStamp == second.inventoryStamp && first.inventoryStamp != 0)
  #expect(first.subtrees["pods"]?.audit == false && second.subtrees["pods"]?.audit == true)
  #expect(collection.join([pod]).set.subtrees.isEmpty)
}
