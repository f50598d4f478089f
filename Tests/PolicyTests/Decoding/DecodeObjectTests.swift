import Testing

@testable import Policy

private func read(_ text: String) throws -> Reading {
  let reading = Reading(texts: [("t.yaml", text)])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return reading
}

private func ip(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

@Test("a Namespace carries its name as a label, whatever the file says")
func namespaces() throws {
  let set = try read(
    """
    apiVersion: v1
    kind: Namespace
    metadata: {name: shop, labels: {team: a, kubernetes.io/metadata.name: other}}
    spec: {finalizers: [kubernetes]}
    status: {phase: Active}
    """
  ).set
  #expect(set.labels(ofNamespace: "shop") == ["team": "a", "kubernetes.io/metadata.name": "shop"])
  #expect(set.namespaces["shop"]?.place == Place(file: "t.yaml", line: 1, column: 1))
}

@Test("a Pod as kubectl prints it gives its labels, addresses, account and named ports")
func podAsPrinted() throws {
  let reading = try read(
    """
    apiVersion: v1
    kind: Pod
    metadata:
      annotations: {a.b/c: "x y\\n"}
      creationTimestamp: "2024-01-01T00:00:00Z"
      generateName: web-
      generation: 1
      labels: {app: web}
      managedFields:
      - {manager: kubectl, operation: Update, fieldsV1: {"f:metadata": {"f:labels": {".": {}}}}}
      name: web-1
      namespace: shop
      ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]
      resourceVersion: "1"
      uid: 00000000-0000-0000-0000-000000000000
    spec:
      automountServiceAccountToken: true
      containers:
      - name: main
        image: nginx
        env: [{name: A, value: "1"}]
        ports:
        - {containerPort: 80, name: http, protocol: TCP, hostPort: 0, hostIP: ""}
        - {containerPort: 443}
        - {containerPort: 53, name: dns, protocol: UDP}
        resources: {}
      - name: other
        ports: [{containerPort: 81, name: http}]
      initContainers:
      - {name: setup, ports: [{containerPort: 1, name: gone}]}
      - {name: sidecar, restartPolicy: Always, ports: [{containerPort: 9090, name: metrics}]}
      dnsPolicy: ClusterFirst
      nodeName: node-1
      serviceAccount: robot
      serviceAccountName: robot
      tolerations: [{effect: NoExecute, key: k, operator: Exists, tolerationSeconds: 300}]
      volumes: [{name: v, emptyDir: {}}]
    status:
      conditions: []
      hostIP: 192.0.2.1
      phase: Running
      podIP: 10.0.0.5
      podIPs: [{ip: 10.0.0.5}, {ip: "fd00::5"}]
      qosClass: BestEffort
      startTime: "2024-01-01T00:00:00Z"
    """)
  let pod = try #require(reading.set.endpoints[Name("shop", "web-1")])
  #expect(pod.labels == ["app": "web"])
  #expect(pod.addresses == [try ip("10.0.0.5"), try ip("fd00::5")])
  #expect(pod.serviceAccount == "robot")
  #expect(pod.cgroup == nil && !pod.hostNetwork)
  #expect(pod.node == "node-1")
  #expect(
    pod.ports == [
      NamedPort(name: "http", port: 80, protocol: .tcp), NamedPort(name: "dns", port: 53, protocol: .udp),
      NamedPort(name: "metrics", port: 9090, protocol: .tcp),
    ])
}

@Test(
  "a Pod that has ended owns no address, one that waits has none yet",
  arguments: [
    ("Running", 1), ("Pending", 1), ("Unknown", 1), ("Succeeded", 0), ("Failed", 0),
  ])
func podPhases(phase: String, count: Int) throws {
  let pod = try read(pod("status: {phase: \(phase), podIP: 10.0.0.5}")).set.endpoints[Name("shop", "web")]
  #expect(pod?.addresses.count == count)
  #expect(pod?.serviceAccount == "default")
  #expect(
    try read("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {podIP: ''}").set.endpoints.first?.value
      .addresses == [])
}

@Test("lists hold objects: kubectl's, and the API's own, whose items do not say what they are")
func lists() throws {
  let kubectl = try read(
    "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n"
      + "- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n- {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}\n"
  )
  #expect(kubectl.objects == 2 && kubectl.files == 1)
  #expect(kubectl.set.namespaces.count == 1 && kubectl.set.endpoints.count == 1)
  let api = try read(
    "{\"apiVersion\": \"networking.k8s.io/v1\", \"kind\": \"NetworkPolicyList\", \"metadata\": {}, \"items\": [{\"metadata\": {\"name\": \"p\"}, \"spec\": {}}]}"
  )
  #expect(api.set.networkPolicies.map(\.name) == [Name("default", "p")])
  #expect(try read("apiVersion: v1\nkind: PodList\nitems: []").objects == 0)
}

@Test("a Workload with everything in it is read as written, with one thing the defaults")
func workloads() throws {
  let full = try read(
    """
    apiVersion: weir.dev/v1alpha1
    kind: Workload
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec:
      cgroup: shop/web
      addresses: [10.0.0.5, "fd00::5"]
      serviceAccountName: robot
      ports: [{name: http, port: 8080, protocol: TCP}, {name: http, port: 8080, protocol: UDP}, {port: 9}]
    """
  ).set.endpoints[Name("shop", "web")]
  #expect(full?.cgroup == "shop/web")
  #expect(full?.labels == ["app": "web"])
  #expect(full?.addresses == [try ip("10.0.0.5"), try ip("fd00::5")])
  #expect(full?.serviceAccount == "robot")
  #expect(
    full?.ports == [
      NamedPort(name: "http", port: 8080, protocol: .tcp),
      NamedPort(name: "http", port: 8080, protocol: .udp),
    ])
  let bare = try read(
    "{apiVersion: weir.dev/v1alpha1, kind: Workload, metadata: {name: a}, spec: {cgroup: /system.slice/a.service}}"
  )
  .set.endpoints[Name("default", "a")]
  #expect(bare?.cgroup == "/system.slice/a.service")
  #expect(bare?.serviceAccount == "default" && bare?.addresses == [] && bare?.ports == [])
}

@Test("a Proxy is read as written; without `takes` it takes every destination")
func proxies() throws {
  let full = try read(
    proxy(
      "type: Envoy\ncgroup: shop/envoy\nlisten: {addresses: [127.0.0.1, '::1'], port: 15006}\ntakes: {namespaceSelector: {}}"
    )
  )
  .set.proxies[Name("shop", "envoy")]
  #expect(full?.kind == .envoy)
  #expect(full?.cgroup == "shop/envoy")
  #expect(full?.addresses == [try ip("127.0.0.1"), try ip("::1")])
  #expect(full?.port == 15006)
  #expect(full?.takes == PeerSelector(namespaces: .everything, pods: nil))
  let bare = try read(proxy("type: Envoy\ncgroup: e\nlisten: {addresses: [127.0.0.1], port: 1}")).set.proxies
    .values.first
  #expect(bare?.takes == nil)
}

private let proxyHead = "type: Envoy\ncgroup: e\nlisten: "

@Test(
  "an object that cannot be used is refused at the value that is wrong",
  arguments: [
    Refusal(
      "another kind", "apiVersion: apps/v1\nkind: Deployment\n", "2:7 kind",
      says: "NetworkPolicy (networking.k8s.io/v1)"),
    Refusal(
      "an old version", "apiVersion: extensions/v1beta1\nkind: NetworkPolicy\n", "1:13 apiVersion",
      says: "understood as networking.k8s.io/v1"),
    Refusal("no kind", "apiVersion: v1\n", "1:1 kind", says: "required"),
    Refusal("no object", "- a\n", "1:1 ", says: "expected an object (a mapping), found a list"),
    Refusal("a bare word", "hello\n", "1:1 ", says: "found the string `hello`"),
    Refusal("no metadata", "apiVersion: v1\nkind: Namespace\n", "1:1 metadata", says: "required"),
    Refusal(
      "no name", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", "3:11 metadata.name",
      says: "required"),
    Refusal(
      "a name with capitals", "apiVersion: v1\nkind: Pod\nmetadata: {name: Web}\n", "3:18 metadata.name",
      says: "found `Web`"),
    Refusal(
      "a namespace with a dot", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: a.b}\n",
      "3:32 metadata.namespace", says: "DNS label"),
    Refusal(
      "a Namespace in a namespace", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n",
      "3:32 metadata.namespace", says: "in no namespace"),
    Refusal(
      "a Namespace with a dot", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n",
      "3:18 metadata.name", says: "DNS label"),
    Refusal(
      "a misspelt metadata field", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, lables: {}}\n",
      "3:21 metadata.lables", says: "did you mean `labels`?"),
    Refusal(
      "an annotation that is a number",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {a: 1}}\n", "3:38 metadata.annotations.a",
      says: "put it in quotes"),
    Refusal(
      "an annotation key with a space",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {Ab.c/d: x, a b: x}}\n",
      "3:46 metadata.annotations[a b]", says: "label key"),
    Refusal(
      "a phase in lower case", pod("status: {phase: failed}"), "4:17 status.phase",
      says: "did you mean `Failed`?"),
    Refusal(
      "a status that is a list", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nstatus: []\n",
      "4:9 status", says: "mapping"),
    Refusal(
      "a misspelt Pod field", pod("spec: {hostNetwrok: true}"), "4:8 spec.hostNetwrok",
      says: "did you mean `hostNetwork`?"),
    Refusal(
      "a Pod's port without number", pod("spec: {containers: [{ports: [{name: a}]}]}"),
      "4:30 spec.containers[0].ports[0].containerPort", says: "required"),
    Refusal(
      "a Pod's port name twice",
      pod("spec: {containers: [{ports: [{name: a, containerPort: 1}, {name: a, containerPort: 2}]}]}"),
      "4:66 spec.containers[0].ports[1].name", says: "stands twice"),
    Refusal(
      "a Pod's address that is none", pod("status: {podIP: 10.0.0}"), "4:17 status.podIP",
      says: "IPv4 or IPv6 address, found `10.0.0`"),
    Refusal(
      "a Pod's hostNetwork in quotes", pod("spec: {hostNetwork: 'true'}"), "4:21 spec.hostNetwork",
      says: "expected true or false"),
    Refusal(
      "an item of a list",
      "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: A}}\n- {}\n",
      "4:54 items[0].metadata.name", "5:3 items[1].apiVersion", "5:3 items[1].kind", says: "found `A`"),
    Refusal(
      "an item of another kind in a typed list",
      "apiVersion: v1\nkind: PodList\nitems: [{kind: Secret, metadata: {name: a}}]\n", "3:16 items[0].kind",
      says: "`Secret`"),
    Refusal("a List without items", "apiVersion: v1\nkind: List\n", "1:1 items", says: "required"),
    Refusal(
      "a Workload without spec", "apiVersion: weir.dev/v1alpha1\nkind: Workload\nmetadata: {name: a}\n",
      "1:1 spec", says: "required"),
    Refusal("a Workload without cgroup", workload("{}"), "5:3 spec.cgroup", says: "required"),
    Refusal("an empty cgroup", workload("cgroup: ''"), "5:11 spec.cgroup", says: "below the cgroup root"),
    Refusal("the root cgroup", workload("cgroup: /"), "5:11 spec.cgroup", says: "below the cgroup root"),
    Refusal("a cgroup above", workload("cgroup: shop/../../web"), "5:11 spec.cgroup", says: "`..`"),
    Refusal(
      "a cgroup that ends in a slash", workload("cgroup: shop/"), "5:11 spec.cgroup", says: "without empty"),
    Refusal(
      "a Workload's multicast address", workload("cgroup: a\naddresses: [224.0.0.1]"),
      "6:15 spec.addresses[0]", says: "multicast"),
    Refusal(
      "a Workload's block", workload("cgroup: a\naddresses: [10.0.0.0/8]"), "6:15 spec.addresses[0]",
      says: "IPv4 or IPv6"),
    Refusal(
      "an address twice", workload("cgroup: a\naddresses: [10.0.0.5, '::ffff:10.0.0.5']"),
      "6:25 spec.addresses[1]", says: "already that of Workload shop/web"),
    Refusal(
      "a port name twice", workload("cgroup: a\nports: [{name: b, port: 1}, {name: b, port: 2}]"),
      "6:38 spec.ports[1].name", says: "twice for TCP"),
    Refusal(
      "containerPort in a Workload", workload("cgroup: a\nports: [{containerPort: 1}]"),
      "6:11 spec.ports[0].port", "6:12 spec.ports[0].containerPort", says: "required"),
    Refusal(
      "a Proxy of another type", proxy("type: envoy\ncgroup: e\nlisten: {addresses: [127.0.0.1], port: 1}"),
      "5:9 spec.type", says: "did you mean `Envoy`?"),
    Refusal(
      "a Proxy of nothing", proxy("{}"), "5:3 spec.cgroup", "5:3 spec.listen", "5:3 spec.type",
      says: "required"),
    Refusal(
      "a Proxy without address", proxy(proxyHead + "{addresses: [], port: 1}"), "7:23 spec.listen.addresses",
      says: "at least one"),
    Refusal(
      "two addresses of a family", proxy(proxyHead + "{addresses: [127.0.0.1, 127.0.0.2], port: 1}"),
      "7:35 spec.listen.addresses[1]", says: "a second IPv4 address"),
    Refusal(
      "a Proxy everywhere", proxy(proxyHead + "{addresses: [0.0.0.0], port: 1}"),
      "7:24 spec.listen.addresses[0]", says: "unspecified"),
    Refusal(
      "takes nothing said", proxy(proxyHead + "{addresses: [127.0.0.1], port: 1}\ntakes: {}"),
      "8:10 spec.takes", says: "leave `takes` out"),
    Refusal(
      "a block in takes",
      proxy(proxyHead + "{addresses: [127.0.0.1], port: 1}\ntakes: {podSelector: {}, ipBlock: {}}"),
      "8:28 spec.takes.ipBlock", says: "unknown field"),
  ])
func refusedObjects(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}

@Test("a message shortens what it quotes and shows what could move the cursor")
func quoting() {
  let long = String(repeating: "x", count: 1000)
  #expect(
    message("apiVersion: v1\nkind: \(long)\n").hasPrefix("`\(String(repeating: "x", count: 64))…` of `v1`"))
  #expect(message("apiVersion: v1\nkind: \"a\\n\\e[2J\\u202e\"\n").hasPrefix("`a\\n\\u{1b}[2J\\u{202e}` of"))
  #expect(
    places("apiVersion: v1\nkind: Pod\nmetadata: {name: a, \"x\\ny.\(long)\": 1}\n").first?.count ?? 999 < 120
  )
}

@Test("a problem reads as compilers write it")
func problemForm() {
  let problem = Reading(texts: [("a.yaml", networkPolicy("ingress: [{ports: [{port: 0}]}]"))]).problems.first
  #expect(
    problem?.description
      == "a.yaml:5:29: spec.ingress[0].ports[0].port: expected a port number from 1 to 65535, found `0`")
}

@Test("lists of Nodes, Services and EndpointSlices hold items that do not say what they are")
func inventoryLists() {
  let text = """
    {apiVersion: v1, kind: NodeList, metadata: {resourceVersion: "1"}, items: [{metadata: {name: a}}]}
    ---
    {apiVersion: v1, kind: ServiceList, items: [{metadata: {name: a}, spec: {clusterIP: None}}]}
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSliceList
    items: [{metadata: {name: a}, addressType: IPv4}]
    """
  let set = Reading(texts: [("t.yaml", text)]).set
  #expect(set.nodes.count == 1 && set.services.count == 1 && set.slices.count == 1)
}
