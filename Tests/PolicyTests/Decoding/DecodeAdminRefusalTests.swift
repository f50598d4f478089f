import Testing

@testable import Policy

@Test(
  "a v1alpha1 policy the API server would refuse is refused at the value that is wrong",
  arguments: [
    Refusal(
      "another version", AdminText.object("v1alpha2", "AdminNetworkPolicy", "{}"), "1:13 apiVersion",
      says: "understood as policy.networking.k8s.io/v1alpha1"),
    Refusal(
      "no priority", AdminText.object("v1alpha1", "AdminNetworkPolicy", "subject: {namespaces: {}}"),
      "5:3 spec.priority",
      says: "required"),
    Refusal("a tier", AdminText.admin("tier: Admin"), "7:3 spec.tier", says: "an AdminNetworkPolicy's spec"),
    Refusal(
      "pods without a namespace selector",
      AdminText.object("v1alpha1", "AdminNetworkPolicy", "priority: 1\nsubject: {pods: {podSelector: {}}}"),
      "6:19 spec.subject.pods.namespaceSelector", says: "required"),
    Refusal(
      "the new word", AdminText.admin("ingress: [{action: Accept, from: [{namespaces: {}}]}]"),
      "7:22 spec.ingress[0].action", says: "expected Allow, Deny, Pass"),
    Refusal(
      "101 rules", AdminText.admin("ingress: \(AdminText.repeated("{action: Pass, from: [{namespaces: {}}]}", 101))"),
      "7:12 spec.ingress", says: "at most 100 rules, found 101"),
    Refusal(
      "101 peers", AdminText.admin("ingress: [{action: Pass, from: \(AdminText.repeated("{namespaces: {}}", 101))}]"),
      "7:34 spec.ingress[0].from", says: "1 to 100 peers, found 101"),
    Refusal("no ports", AdminText.ports("[]"), "7:58 spec.egress[0].ports", says: "1 to 100 ports, found 0"),
    Refusal(
      "101 ports", AdminText.ports(AdminText.repeated("{namedPort: a}", 101)), "7:58 spec.egress[0].ports", says: "found 101"),
    Refusal(
      "a port of nothing", AdminText.ports("[{}]"), "7:59 spec.egress[0].ports[0]",
      says: "exactly one of `portNumber`, `portRange`, `namedPort`, found none"),
    Refusal(
      "a port of two", AdminText.ports("[{namedPort: a, portNumber: {port: 1}}]"), "7:59 spec.egress[0].ports[0]",
      says: "found `namedPort` and `portNumber`"),
    Refusal(
      "a port without number", AdminText.ports("[{portNumber: {protocol: TCP}}]"),
      "7:72 spec.egress[0].ports[0].portNumber.port", says: "required"),
    Refusal(
      "a port of another protocol", AdminText.ports("[{portNumber: {protocol: tcp, port: 1}}]"),
      "7:83 spec.egress[0].ports[0].portNumber.protocol", says: "did you mean `TCP`?"),
    Refusal(
      "port 65536", AdminText.ports("[{portNumber: {port: 65536}}]"),
      "7:79 spec.egress[0].ports[0].portNumber.port", says: "from 1 to 65535"),
    Refusal(
      "a range backwards", AdminText.ports("[{portRange: {start: 80, end: 79}}]"),
      "7:88 spec.egress[0].ports[0].portRange.end", says: "more than `start` (80), found `79`"),
    Refusal(
      "a named port of nodes", AdminText.admin("egress: [{action: Deny, to: [{nodes: {}}], ports: [{namedPort: a}]}]"),
      "7:53 spec.egress[0].ports", says: "no named ports"),
    Refusal(
      "networks in ingress", AdminText.admin("ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]"),
      "7:36 spec.ingress[0].from[0].networks", says: "egress rules only"),
    Refusal(
      "domain names", AdminText.admin("egress: [{action: Allow, to: [{domainNames: [example.com]}]}]"),
      "7:34 spec.egress[0].to[0].domainNames", says: "until DNS is followed"),
    Refusal(
      "an IPv4 address inside IPv6",
      AdminText.admin("egress: [{action: Deny, to: [{networks: ['64:ff9b::10.0.0.0/120']}]}]"),
      "7:44 spec.egress[0].to[0].networks[0]", says: "without an IPv4 address inside"),
    Refusal(
      "a baseline of another name", AdminText.baseline("ingress: []", name: "mine"), "3:18 metadata.name",
      says: "expected `default`, the only name a BaselineAdminNetworkPolicy can have, found `mine`"),
    Refusal(
      "a baseline that passes", AdminText.baseline("ingress: [{action: Pass, from: [{namespaces: {}}]}]"),
      "6:22 spec.ingress[0].action", says: "expected Allow, Deny, found `Pass`"),
    Refusal("a baseline's priority", AdminText.baseline("priority: 1"), "6:3 spec.priority", says: "unknown field"),
  ])
func refusedAdminNetworkPolicies(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}
