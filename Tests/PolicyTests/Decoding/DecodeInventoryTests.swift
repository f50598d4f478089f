import Testing

@testable import Policy

private func read(_ text: String) throws -> PolicySet {
  let reading = Reading(texts: [("t.yaml", text)])
  try #require(reading.problems.isEmpty, "\(reading.problems)")
  return reading.set
}

private func ip(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

private func node(_ rest: String, name: String = "node-1") -> String {
  "apiVersion: v1\nkind: Node\nmetadata: {name: \(name)}\n" + rest + "\n"
}

/// A Service whose spec is `spec`, in line 4 from column 7 on.
private func service(_ spec: String, name: String = "web") -> String {
  "apiVersion: v1\nkind: Service\nmetadata: {name: \(name), namespace: shop}\nspec: \(spec)\n"
}

/// `ports`, in line 4 from column 15 on.
private func servicePorts(_ ports: String) -> String { service("{ports: \(ports)}") }

private func slice(_ rest: String, name: String = "web-x") -> String {
  "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: \(name), namespace: shop}\n" + rest
    + "\n"
}

/// One whose endpoints are in line 5 from column 12 on.
private func endpoints(_ endpoints: String, type: String = "IPv4") -> String {
  slice("addressType: \(type)\nendpoints: \(endpoints)")
}

// MARK: - Node

@Test("a Node as kubectl prints it gives its labels and its addresses, not its names")
func nodeAsPrinted() throws {
  let node = try #require(
    try read(
      """
      apiVersion: v1
      kind: Node
      metadata:
        annotations:
          kubeadm.alpha.kubernetes.io/cri-socket: unix:///run/containerd/containerd.sock
          node.alpha.kubernetes.io/ttl: "0"
        creationTimestamp: "2025-06-01T10:00:00Z"
        labels:
          kubernetes.io/hostname: node-1.example.com
          node-role.kubernetes.io/control-plane: ""
        name: node-1.example.com
        resourceVersion: "4711"
        uid: 00000000-0000-0000-0000-000000000000
      spec:
        podCIDR: 10.244.0.0/24
        podCIDRs: [10.244.0.0/24, "fd00:10:244::/64"]
        providerID: kind://docker/kind/node-1
        taints: [{effect: NoSchedule, key: node-role.kubernetes.io/control-plane}]
        unschedulable: true
      status:
        addresses:
        - {address: 192.0.2.10, type: InternalIP}
        - {address: "2001:db8::10", type: InternalIP}
        - {address: 192.0.2.10, type: ExternalIP}
        - {address: 198.51.100.7, type: ExternalIP}
        - {address: node-1, type: Hostname}
        - {address: node-1.internal, type: InternalDNS}
        - {address: node-1.example.com, type: ExternalDNS}
        allocatable: {cpu: "8", memory: 32Gi, pods: "110"}
        capacity: {cpu: "8", ephemeral-storage: 100Gi, hugepages-1Gi: "0", memory: 32Gi, pods: "110"}
        conditions:
        - {message: ok, reason: KubeletReady, status: "True", type: Ready}
        daemonEndpoints: {kubeletEndpoint: {Port: 10250}}
        declaredFeatures: [a]
        features: {supplementalGroupsPolicy: true}
        images: [{names: ["registry.k8s.io/pause@sha256:0", "registry.k8s.io/pause:3.10"], sizeBytes: 320448}]
        nodeInfo: {architecture: amd64, kernelVersion: 6.18.0, swap: {capacity: 1}, systemUUID: u}
        runtimeHandlers: [{features: {recursiveReadOnlyMounts: true, userNamespaces: true}, name: ""}]
        volumesAttached: [{devicePath: "", name: v}]
        volumesInUse: [v]
      """
    ).nodes["node-1.example.com"])
  #expect(
    node.labels == [
      "kubernetes.io/hostname": "node-1.example.com", "node-role.kubernetes.io/control-plane": "",
    ])
  #expect(node.addresses == [try ip("192.0.2.10"), try ip("2001:db8::10"), try ip("198.51.100.7")])
  #expect(node.place == Place(file: "t.yaml", line: 1, column: 1))
}

@Test("pods on the host's network and Workloads may have their node's address, another Node may not")
func nodeAddresses() throws {
  let status = "status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}"
  let host = pod("spec: {hostNetwork: true, nodeName: node-1}\nstatus: {podIP: 192.0.2.1}")
  let set = try read(
    [
      node(status), host, workload("cgroup: a\naddresses: [192.0.2.1]", name: "x"),
      node("spec: {}", name: "b"),
    ]
    .joined(separator: "---\n"))
  #expect(set.nodes.count == 2 && set.endpoints.count == 2)
  #expect(set.nodes["b"]?.addresses == [] && set.endpoints[Name("shop", "web")]?.node == "node-1")
  let problems = Reading(texts: [("a.yaml", node(status)), ("b.yaml", node(status, name: "b"))]).problems
  #expect(
    problems.map(\.description) == [
      "b.yaml:4:50: status.addresses[0].address: "
        + "the address 192.0.2.1 is already that of Node node-1 (a.yaml:4:50)"
    ])
  let shared = "status: {addresses: [{type: ExternalIP, address: 192.0.2.1}]}"
  #expect(try read(node(shared) + "---\n" + node(shared, name: "b")).nodes.count == 2)
}

@Test("a Pod without a node is not scheduled yet")
func unscheduled() throws {
  for spec in ["spec: {}", "spec: {nodeName: ''}", "spec: {nodeName: null}"] {
    #expect(try read(pod(spec)).endpoints[Name("shop", "web")]?.node == nil)
  }
}

// MARK: - Service

@Test("a Service as kubectl prints it gives whom it selects, its addresses and its ports")
func serviceAsPrinted() throws {
  let service = try #require(
    try read(
      """
      apiVersion: v1
      kind: Service
      metadata: {name: web, namespace: shop, labels: {app: web}, uid: u, resourceVersion: "1"}
      spec:
        allocateLoadBalancerNodePorts: true
        clusterIP: 10.96.0.10
        clusterIPs: [10.96.0.10, "fd00:10:96::a"]
        externalIPs: [198.51.100.1]
        externalTrafficPolicy: Local
        healthCheckNodePort: 31000
        internalTrafficPolicy: Cluster
        ipFamilies: [IPv4, IPv6]
        ipFamilyPolicy: PreferDualStack
        loadBalancerClass: example.com/lb
        loadBalancerIP: 198.51.100.2
        loadBalancerSourceRanges: [203.0.113.0/24]
        ports:
        - {appProtocol: kubernetes.io/h2c, name: http, nodePort: 30080, port: 80, targetPort: web}
        - {name: dns, nodePort: 30053, port: 53, protocol: UDP, targetPort: 5353}
        - {name: dns-tcp, port: 53}
        publishNotReadyAddresses: false
        selector: {app: web, tier: front}
        sessionAffinity: ClientIP
        sessionAffinityConfig: {clientIP: {timeoutSeconds: 10800}}
        trafficDistribution: PreferClose
        type: LoadBalancer
      status: {loadBalancer: {ingress: [{ip: 198.51.100.2}]}}
      """
    ).services[Name("shop", "web")])
  #expect(
    service.selector
      == Selector([
        .init(key: "app", operator: .in, values: ["web"]),
        .init(key: "tier", operator: .in, values: ["front"]),
      ]))
  #expect(service.addresses == [try ip("10.96.0.10"), try ip("fd00:10:96::a")])
  #expect(
    service.ports == [
      .init(
        name: "http", protocol: .tcp, port: 80, target: .named("web"), appProtocol: "kubernetes.io/h2c"),
      .init(name: "dns", protocol: .udp, port: 53, target: .range(5353...5353), appProtocol: nil),
      .init(name: "dns-tcp", protocol: .tcp, port: 53, target: .range(53...53), appProtocol: nil),
    ])
}

@Test(
  "a Service may be without addresses, without ports or without a selector",
  arguments: [
    // Spec, addresses, ports, whether it selects.
    ("{clusterIP: None, clusterIPs: [None], selector: {a: b}}", 0, 0, true),
    ("{clusterIP: None, type: ClusterIP}", 0, 0, false),
    ("{type: ExternalName, externalName: example.com., selector: {a: b}}", 0, 0, false),
    ("{type: ExternalName, externalName: example.com, ports: [{port: 443}]}", 0, 1, false),
    ("{clusterIP: '', ports: [{port: 80}], selector: {}}", 0, 1, false),
    ("{clusterIP: 10.0.0.1, ports: [{port: 80, targetPort: 0, nodePort: 0, name: ''}]}", 1, 1, false),
    ("{ports: [{port: 80, targetPort: ''}], selector: {a: b}}", 0, 1, true),
  ])
func plainServices(spec: String, addresses: Int, ports: Int, selects: Bool) throws {
  let service = try #require(try read(service(spec)).services.first?.value)
  #expect(service.addresses.count == addresses && service.ports.count == ports)
  #expect((service.selector != nil) == selects)
  #expect(service.ports.allSatisfy { $0.target == .range($0.port...$0.port) })
}

// MARK: - EndpointSlice

@Test("an EndpointSlice as kubectl prints it gives its Service and the addresses that are not unready")
func sliceAsPrinted() throws {
  let slice = try #require(
    try read(
      """
      addressType: IPv4
      apiVersion: discovery.k8s.io/v1
      endpoints:
      - addresses: [10.0.0.5]
        conditions: {ready: true, serving: true, terminating: false}
        hints: {forZones: [{name: a}], forNodes: [{name: node-1}]}
        nodeName: node-1
        targetRef: {kind: Pod, name: web-1, namespace: shop, uid: u}
        zone: a
      - addresses: [10.0.0.6]
        conditions: {ready: false, serving: true, terminating: true}
        deprecatedTopology: {kubernetes.io/hostname: node-1}
      - addresses: [10.0.0.7, 10.0.0.8]
        hostname: web
      kind: EndpointSlice
      metadata:
        generateName: web-
        labels:
          endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
          kubernetes.io/service-name: web
        name: web-abcde
        namespace: shop
        ownerReferences: [{apiVersion: v1, kind: Service, name: web, uid: u}]
      ports:
      - {name: http, port: 8080, protocol: TCP, appProtocol: http}
      - {name: "", port: null, protocol: UDP}
      """
    ).slices[Name("shop", "web-abcde")])
  #expect(slice.service == "web")
  #expect(slice.addresses == [try ip("10.0.0.5"), try ip("10.0.0.7"), try ip("10.0.0.8")])
}

@Test("an EndpointSlice may be of IPv6 addresses, of names, of nothing, and of no Service")
func otherSlices() throws {
  let six = try read(endpoints("[{addresses: ['2001:db8::1']}]", type: "IPv6")).slices.first?.value
  #expect(six?.addresses == [try ip("2001:db8::1")] && six?.service == nil)
  #expect(
    try read(endpoints("[{addresses: [a.example.com]}]", type: "FQDN")).slices.first?.value.addresses == [])
  #expect(try read(slice("addressType: IPv4\nendpoints: null\nports: null")).slices.count == 1)
}

// MARK: - What is refused

@Test(
  "a Node, Service or EndpointSlice the API server would refuse is refused at the value that is wrong",
  arguments: [
    Refusal("a Node's name", node("", name: "Node"), "3:18 metadata.name", says: "DNS subdomain"),
    Refusal("a Node's spec", node("spec: {podCidr: a}"), "4:8 spec.podCidr", says: "did you mean `podCIDR`?"),
    Refusal(
      "a Node's status", node("status: {adresses: []}"), "4:10 status.adresses",
      says: "did you mean `addresses`?"),
    Refusal(
      "a Node's address that is none", node("status: {addresses: [{type: InternalIP, address: here}]}"),
      "4:50 status.addresses[0].address", says: "expected an IPv4 or IPv6 address, found `here`"),
    Refusal(
      "an address of no type", node("status: {addresses: [{address: 10.0.0.1}]}"),
      "4:22 status.addresses[0].type", says: "required"),
    Refusal(
      "an address of an unknown type", node("status: {addresses: [{type: internalIP, address: 10.0.0.1}]}"),
      "4:29 status.addresses[0].type", says: "did you mean `InternalIP`?"),
    Refusal(
      "an address twice",
      node("status: {addresses: [{type: Hostname, address: a}, {type: Hostname, address: a}]}"),
      "4:78 status.addresses[1].address", says: "the Hostname `a` stands twice"),
    Refusal("a Pod's node", pod("spec: {nodeName: Node}"), "4:18 spec.nodeName", says: "DNS subdomain"),
    Refusal(
      "a Pod's node that is a list", pod("spec: {nodeName: []}"), "4:18 spec.nodeName", says: "a string"),

    Refusal(
      "a Service's name", service("{clusterIP: None}", name: "a.b"), "3:18 metadata.name", says: "DNS label"),
    Refusal(
      "no spec", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "1:1 spec", says: "required"),
    Refusal("no ports", service("{selector: {a: b}}"), "4:7 spec.ports", says: "at least one port"),
    Refusal("an empty list of ports", servicePorts("[]"), "4:15 spec.ports", says: "at least one port"),
    Refusal(
      "a misspelt field", service("{clusterIP: None, selectors: {a: b}}"), "4:25 spec.selectors",
      says: "did you mean `selector`?"),
    Refusal(
      "a selector as of a Deployment", service("{clusterIP: None, selector: {matchLabels: {a: b}}}"),
      "4:49 spec.selector.matchLabels", says: "expected a string, found a mapping"),
    Refusal(
      "a type", service("{type: Loadbalancer, ports: [{port: 1}]}"), "4:14 spec.type",
      says: "did you mean `LoadBalancer`?"),
    Refusal(
      "an external name that is missing", service("{type: ExternalName}"), "4:7 spec.externalName",
      says: "required"),
    Refusal(
      "an external name", service("{type: ExternalName, externalName: a_b}"), "4:42 spec.externalName",
      says: "DNS subdomain"),
    Refusal(
      "an external name with an address",
      service("{type: ExternalName, externalName: a.b, clusterIP: 10.0.0.1}"), "4:58 spec.clusterIP",
      says: "no cluster address"),
    Refusal(
      "a cluster address", service("{clusterIP: none, ports: [{port: 1}]}"), "4:19 spec.clusterIP",
      says: "found `none`"),
    Refusal(
      "cluster addresses that disagree",
      service("{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.2], ports: [{port: 1}]}"), "4:19 spec.clusterIP",
      says: "expected `10.0.0.2`"),
    Refusal(
      "two of a family", service("{clusterIPs: [10.0.0.1, 10.0.0.2], ports: [{port: 1}]}"),
      "4:31 spec.clusterIPs[1]", says: "a second IPv4 address"),
    Refusal(
      "three addresses", service("{clusterIPs: ['', '', ''], ports: [{port: 1}]}"), "4:20 spec.clusterIPs",
      says: "at most 2 addresses, found 3"),
    Refusal(
      "None beside an address", service("{clusterIPs: [None, 10.0.0.1]}"), "4:20 spec.clusterIPs",
      says: "`None` alone"),
    Refusal(
      "a load balancer without address", service("{type: LoadBalancer, clusterIP: None}"),
      "4:39 spec.clusterIP",
      says: "expected an address"),
    Refusal(
      "an affinity", service("{clusterIP: None, sessionAffinity: Client}"), "4:42 spec.sessionAffinity",
      says: "expected ClientIP, None"),
    Refusal(
      "an IP family", service("{clusterIP: None, ipFamilies: [ipv4]}"), "4:38 spec.ipFamilies[0]",
      says: "did you mean `IPv4`?"),
    Refusal(
      "a port without number", servicePorts("[{name: a}]"), "4:16 spec.ports[0].port", says: "required"),
    Refusal("port 0", servicePorts("[{port: 0}]"), "4:23 spec.ports[0].port", says: "from 1 to 65535"),
    Refusal(
      "a protocol", servicePorts("[{port: 1, protocol: HTTP}]"), "4:36 spec.ports[0].protocol",
      says: "TCP, UDP, SCTP"),
    Refusal(
      "a target that is a number in quotes", servicePorts("[{port: 1, targetPort: '80'}]"),
      "4:38 spec.ports[0].targetPort", says: "without quotes"),
    Refusal(
      "a target's name", servicePorts("[{port: 1, targetPort: a_b}]"), "4:38 spec.ports[0].targetPort",
      says: "port name"),
    Refusal(
      "a node port of a ClusterIP", servicePorts("[{port: 1, nodePort: 30000}]"),
      "4:36 spec.ports[0].nodePort",
      says: "expected no `nodePort`"),
    Refusal(
      "several ports without names", servicePorts("[{port: 1, name: a}, {port: 2}]"),
      "4:36 spec.ports[1].name",
      says: "expected a name"),
    Refusal(
      "a name twice", servicePorts("[{port: 1, name: a}, {port: 2, name: a}]"), "4:52 spec.ports[1].name",
      says: "`a` stands twice"),
    Refusal(
      "a port twice", servicePorts("[{port: 1, name: a}, {port: 1, name: b}]"), "4:36 spec.ports[1]",
      says: "the port 1/TCP stands twice"),
    Refusal(
      "an application protocol", servicePorts("[{port: 1, appProtocol: a b}]"),
      "4:39 spec.ports[0].appProtocol",
      says: "label key"),

    Refusal("no address type", slice("endpoints: []"), "1:1 addressType", says: "required"),
    Refusal(
      "an address type", endpoints("[]", type: "ipv4"), "4:14 addressType", says: "did you mean `IPv4`?"),
    Refusal("no addresses", endpoints("[{}]"), "5:13 endpoints[0].addresses", says: "required"),
    Refusal(
      "an empty list of addresses", endpoints("[{addresses: []}]"), "5:25 endpoints[0].addresses",
      says: "1 to 100 addresses, found 0"),
    Refusal(
      "an address of the other family", endpoints("[{addresses: ['2001:db8::1']}]"),
      "5:26 endpoints[0].addresses[0]", says: "expected an IPv4 address"),
    Refusal(
      "an IPv4 address in IPv6's form", endpoints("[{addresses: ['::ffff:10.0.0.1']}]", type: "IPv6"),
      "5:26 endpoints[0].addresses[0]", says: "expected an IPv6 address"),
    Refusal(
      "loopback", endpoints("[{addresses: [127.0.0.1]}]"), "5:26 endpoints[0].addresses[0]",
      says: "loopback"),
    Refusal(
      "link-local", endpoints("[{addresses: ['fe80::1']}]", type: "IPv6"), "5:26 endpoints[0].addresses[0]",
      says: "link-local"),
    Refusal(
      "an address twice in an endpoint", endpoints("[{addresses: [10.0.0.1, 10.0.0.1]}]"),
      "5:36 endpoints[0].addresses[1]", says: "stands twice"),
    Refusal(
      "a name that is none", endpoints("[{addresses: [a_b]}]", type: "FQDN"),
      "5:26 endpoints[0].addresses[0]",
      says: "DNS subdomain"),
    Refusal(
      "a condition", endpoints("[{addresses: [10.0.0.1], conditions: {ready: 'true'}}]"),
      "5:57 endpoints[0].conditions.ready", says: "true or false"),
    Refusal(
      "an endpoint's field", endpoints("[{addresses: [10.0.0.1], node: a}]"), "5:37 endpoints[0].node",
      says: "unknown field"),
    Refusal(
      "a slice's port name twice", slice("addressType: IPv4\nports: [{port: 1}, {port: 2}]"),
      "5:20 ports[1].name",
      says: "stands twice"),
    Refusal(
      "a slice's port", slice("addressType: IPv4\nports: [{port: http}]"), "5:16 ports[0].port",
      says: "a port number"),
  ])
func refusedInventory(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}
