import Testing

@testable import Policy

/// One rule of `list` from line 6, column 12 on.
private func rule(_ rule: String, in list: String = "ingress") -> String {
  ciliumPolicy("endpointSelector: {}\n\(list):\n- \(rule)")
}

private func ports(_ entry: String) -> String { rule("toPorts: [\(entry)]") }

private func http(_ entry: String) -> String {
  ports("{ports: [{port: '80', protocol: TCP}], rules: {http: [\(entry)]}}")
}

private let many = Array(repeating: "{port: '80'}", count: 41).joined(separator: ", ")
private let manyTypes = Array(repeating: "{type: 8}", count: 41).joined(separator: ", ")

@Test(
  arguments: [
    Refusal(
      "neither spec nor specs", "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n",
      "1:1 spec", says: "`spec` or `specs`"),
    Refusal(
      "a wrong rule of specs",
      "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n"
        + "specs: [{endpointSelector: {}}]\n",
      "4:9 specs[0]", says: "at least one rule"),
    Refusal("no rule", ciliumPolicy("endpointSelector: {}"), "5:3 spec", says: "at least one rule"),
    Refusal(
      "only empty lists",
      ciliumPolicy("endpointSelector: {}\ningress: []\nenableDefaultDeny: {ingress: true}"),
      "5:3 spec", says: "one rule `{}` isolates"),
    Refusal(
      "no selector", ciliumPolicy("ingress: [{}]"), "5:3 spec.endpointSelector", says: "`{}` selects all"),
    Refusal(
      "no selector, clusterwide", clusterwidePolicy("ingress: [{}]"), "5:3 spec.endpointSelector",
      says: "`endpointSelector` or `nodeSelector`"),
    Refusal(
      "nodeSelector in a namespace", ciliumPolicy("nodeSelector: {}\ningress: [{}]"),
      "5:17 spec.nodeSelector",
      says: "only a CiliumClusterwideNetworkPolicy"),
    Refusal(
      "both selectors", clusterwidePolicy("nodeSelector: {}\nendpointSelector: {}\ningress: [{}]"),
      "5:17 spec.nodeSelector", says: "found both"),
    Refusal(
      "a namespace of the clusterwide kind",
      "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p, namespace: a}\n"
        + "spec: {endpointSelector: {}, ingress: [{}]}\n", "3:32 metadata.namespace",
      says: "in no namespace"),
    Refusal(
      "L7 rules for a node",
      clusterwidePolicy(
        "nodeSelector: {}\n"
          + "ingress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{}]}}]}]"
      ),
      "6:70 spec.ingress[0].toPorts[0].rules", says: "`nodeSelector` has no L7 rules"),
    Refusal(
      "an unknown field", ciliumPolicy("endpointSelector: {}\ningres: [{}]\negress: [{}]"), "6:3 spec.ingres",
      says: "did you mean `ingress`?"),
    Refusal(
      "an unknown field of a rule", rule("fromEndpoint: []"), "7:5 spec.ingress[0].fromEndpoint",
      says: "did you mean `fromEndpoints`?"),
    Refusal(
      "a member of the other direction", rule("toCIDR: []"), "7:5 spec.ingress[0].toCIDR", says: "unknown"),
    Refusal(
      "default deny as a word",
      ciliumPolicy("endpointSelector: {}\negress: [{}]\nenableDefaultDeny: {egress: 'no'}"),
      "7:31 spec.enableDefaultDeny.egress", says: "true or false"),
    Refusal(
      "another version", "apiVersion: cilium.io/v2alpha1\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n",
      "1:13 apiVersion", says: "understood as cilium.io/v2"),
    Refusal(
      "the same name twice",
      ciliumPolicy("endpointSelector: {}\ningress: [{}]") + "---\n"
        + ciliumPolicy("endpointSelector: {}\ningress: [{}]"), "10:18 metadata.name",
      says: "already defined"),
  ])
func `an object Cilium would refuse is refused at the value that is wrong`(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}

@Test(
  arguments: [
    Refusal(
      "fromRequires", rule("fromRequires: [{}]"), "7:5 spec.ingress[0].fromRequires",
      says: "`fromRequires` is not supported: it constrains"),
    Refusal(
      "toRequires", rule("toRequires: [{}]", in: "egressDeny"), "7:5 spec.egressDeny[0].toRequires",
      says: "`toRequires` is not supported"),
    Refusal(
      "fromGroups", rule("fromGroups: [{aws: {}}]"), "7:5 spec.ingress[0].fromGroups",
      says: "cloud provider"),
    Refusal(
      "toGroups", rule("toGroups: [{aws: {}}]", in: "egress"), "7:5 spec.egress[0].toGroups",
      says: "cloud provider"),
    Refusal(
      "toServices", rule("toServices: [{k8sService: {serviceName: a}}]", in: "egress"),
      "7:5 spec.egress[0].toServices", says: "name the endpoints"),
    Refusal(
      "toFQDNs", rule("toFQDNs: [{matchName: example.com}]", in: "egress"), "7:5 spec.egress[0].toFQDNs",
      says: "not followed through DNS"),
    Refusal(
      "authentication", rule("authentication: {mode: required}"), "7:28 spec.ingress[0].authentication.mode",
      says: "`required` is not supported"),
    Refusal(
      "an unknown mode", rule("authentication: {mode: on-demand}"),
      "7:28 spec.ingress[0].authentication.mode",
      says: "expected disabled"),
    Refusal(
      "authentication in a deny rule", rule("authentication: {mode: disabled}", in: "ingressDeny"),
      "7:5 spec.ingressDeny[0].authentication", says: "unknown field"),
    Refusal(
      "Kafka", ports("{ports: [{port: '9092', protocol: TCP}], rules: {kafka: [{role: produce}]}}"),
      "7:64 spec.ingress[0].toPorts[0].rules.kafka", says: "`kafka` is not supported"),
    Refusal(
      "DNS", rule("toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: '*'}]}}]", in: "egress"),
      "7:47 spec.egress[0].toPorts[0].rules.dns", says: "`dns` is not supported"),
    Refusal(
      "another L7 protocol", ports("{rules: {l7proto: r2d2, l7: [{cmd: READ}]}}"),
      "7:24 spec.ingress[0].toPorts[0].rules.l7proto", "7:39 spec.ingress[0].toPorts[0].rules.l7",
      says: "`l7proto` is not supported"),
    Refusal(
      "TLS", ports("{terminatingTLS: {}, originatingTLS: {}, serverNames: [a], listener: {}}"),
      "7:16 spec.ingress[0].toPorts[0].terminatingTLS", "7:36 spec.ingress[0].toPorts[0].originatingTLS",
      "7:56 spec.ingress[0].toPorts[0].serverNames", "7:74 spec.ingress[0].toPorts[0].listener",
      says: "`terminatingTLS` is not supported: weir terminates no TLS"),
    Refusal(
      "rules in a deny rule", rule("toPorts: [{rules: {http: [{}]}}]", in: "ingressDeny"),
      "7:16 spec.ingressDeny[0].toPorts[0].rules", says: "a deny rule is about peers and ports alone"),
    Refusal(
      "a CIDR group", rule("fromCIDRSet: [{cidrGroupRef: a}, {cidrGroupSelector: {}}]"),
      "7:20 spec.ingress[0].fromCIDRSet[0].cidrGroupRef",
      "7:39 spec.ingress[0].fromCIDRSet[1].cidrGroupSelector", says: "CiliumCIDRGroups are not read"),
    Refusal(
      "a header that is rewritten", http("{headerMatches: [{name: a, value: b, mismatch: REPLACE}]}"),
      "7:116 spec.ingress[0].toPorts[0].rules.http[0].headerMatches[0].mismatch",
      says: "`REPLACE` is not supported: weir rewrites no request"),
    Refusal(
      "a header in a Secret", http("{headerMatches: [{name: a, secret: {name: b}}]}"),
      "7:96 spec.ingress[0].toPorts[0].rules.http[0].headerMatches[0].secret", says: "weir reads no Secrets"),
    Refusal(
      "a protocol without sockets",
      ports("{ports: [{port: '0', protocol: VRRP}, {port: '0', protocol: IGMP}]}"),
      "7:46 spec.ingress[0].toPorts[0].ports[0].protocol",
      "7:75 spec.ingress[0].toPorts[0].ports[1].protocol",
      says: "the protocol `VRRP` is not supported"),
    Refusal(
      "ICMP as a port's protocol", ports("{ports: [{port: '8', protocol: ICMP}]}"),
      "7:46 spec.ingress[0].toPorts[0].ports[0].protocol", says: "name its types in `icmps`"),
    Refusal(
      "labels of another source", rule("fromEndpoints: [{matchLabels: {container:app: a}}]"),
      "7:36 spec.ingress[0].fromEndpoints[0].matchLabels[container:app]",
      says: "labels of the source `container` are not supported"),
    Refusal(
      "a CIDR label",
      rule("fromEndpoints: [{matchExpressions: [{key: 'cidr:10.0.0.0/8', operator: Exists}]}]"),
      "7:47 spec.ingress[0].fromEndpoints[0].matchExpressions[0].key", says: "`cidr`"),
    Refusal(
      "an FQDN label", rule("fromEndpoints: [{matchLabels: {fqdn:example.com: ''}}]"),
      "7:36 spec.ingress[0].fromEndpoints[0].matchLabels[fqdn:example.com]", says: "`fqdn`"),
    Refusal(
      "a reserved label beside another",
      rule("fromEndpoints: [{matchLabels: {'reserved:host': '', app: a}}]"),
      "7:36 spec.ingress[0].fromEndpoints[0]", says: "`reserved:host` alone"),
    Refusal(
      "a reserved label that is missing",
      rule("fromEndpoints: [{matchExpressions: [{key: 'reserved:host', operator: DoesNotExist}]}]"),
      "7:41 spec.ingress[0].fromEndpoints[0]", says: "the operator Exists"),
    Refusal(
      "a reserved label with a value", rule("fromEndpoints: [{matchLabels: {'reserved:host': yes-please}}]"),
      "7:36 spec.ingress[0].fromEndpoints[0]", says: "the value \"\""),
    Refusal(
      "a reserved label that is none", rule("fromEndpoints: [{matchLabels: {'reserved:all': ''}}]"),
      "7:36 spec.ingress[0].fromEndpoints[0].matchLabels[reserved:all]", says: "such as `reserved:host`"),
    Refusal(
      "another cluster",
      ciliumPolicy("endpointSelector: {matchLabels: {io.cilium.k8s.policy.cluster: b}}\ningress: [{}]"),
      "5:36 spec.endpointSelector", says: "other clusters are not supported"),
    Refusal(
      "every other cluster",
      rule(
        "fromEndpoints: [{matchExpressions: [{key: io.cilium.k8s.policy.cluster, operator: DoesNotExist}]}]"),
      "7:41 spec.ingress[0].fromEndpoints[0]", says: "is `default` here"),
  ])
func `what weir does not judge is refused by name, with the reason`(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}

@Test(
  arguments: [
    Refusal(
      "two members that name peers", rule("fromEndpoints: [{}]\n  fromEntities: [world]"),
      "8:19 spec.ingress[0].fromEntities", says: "`fromEndpoints` and `fromEntities` cannot stand in one rule"
    ),
    Refusal(
      "two members in a deny rule",
      rule("toCIDR: [10.0.0.1]\n  toCIDRSet: [{cidr: 10.0.0.0/8}]", in: "egressDeny"),
      "8:16 spec.egressDeny[0].toCIDRSet", says: "write two rules"),
    Refusal(
      "toPorts and icmps", rule("toPorts: [{}]\n  icmps: [{fields: [{type: 8}]}]"),
      "8:12 spec.ingress[0].icmps",
      says: "either `toPorts` or `icmps`"),
    Refusal(
      "an unknown entity", rule("fromEntities: [internet]"), "7:20 spec.ingress[0].fromEntities[0]",
      says: "expected all, world"),
    Refusal(
      "a bad block", rule("fromCIDR: [10.0.0.0/33, 'host']"), "7:16 spec.ingress[0].fromCIDR[0]",
      "7:29 spec.ingress[0].fromCIDR[1]", says: "`10.0.0.0/33`"),
    Refusal(
      "an address in a set", rule("fromCIDRSet: [{cidr: 10.0.0.1}]"),
      "7:26 spec.ingress[0].fromCIDRSet[0].cidr",
      says: "expected a block"),
    Refusal(
      "a set without a block", rule("fromCIDRSet: [{except: []}]"),
      "7:19 spec.ingress[0].fromCIDRSet[0].cidr",
      says: "`cidr` is required"),
    Refusal(
      "an exception outside", rule("fromCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16, '::/0']}]"),
      "7:47 spec.ingress[0].fromCIDRSet[0].except[0]", "7:60 spec.ingress[0].fromCIDRSet[0].except[1]",
      says: "expected a part of 10.0.0.0/8"),
    Refusal(
      "a label key", rule("fromEndpoints: [{matchLabels: {'a b': c}}]"),
      "7:36 spec.ingress[0].fromEndpoints[0].matchLabels[a b]", says: "expected a label key"),
    Refusal(
      "a namespace label's key", rule("fromEndpoints: [{matchLabels: {io.cilium.k8s.namespace.labels.: c}}]"),
      "7:36 spec.ingress[0].fromEndpoints[0].matchLabels[io.cilium.k8s.namespace.labels.]",
      says: "expected a label key"),
    Refusal(
      "a label value", rule("fromEndpoints: [{matchLabels: {a: '*'}}]"),
      "7:39 spec.ingress[0].fromEndpoints[0].matchLabels.a", says: "expected a label value"),
    Refusal(
      "an operator", rule("fromEndpoints: [{matchExpressions: [{key: a, operator: Gt, values: ['1']}]}]"),
      "7:60 spec.ingress[0].fromEndpoints[0].matchExpressions[0].operator", says: "expected In, NotIn"),
    Refusal(
      "In without values", rule("fromNodes: [{matchExpressions: [{key: a, operator: In}]}]"),
      "7:37 spec.ingress[0].fromNodes[0].matchExpressions[0].values", says: "at least one value"),
    Refusal(
      "a reserved label of a node", rule("fromNodes: [{matchLabels: {'reserved:host': ''}}]"),
      "7:32 spec.ingress[0].fromNodes[0].matchLabels[reserved:host]", says: "source `reserved`"),
    Refusal(
      "more than 40 ports", ports("{ports: [\(many)]}"), "7:23 spec.ingress[0].toPorts[0].ports",
      says: "at most 40 entries, found 41"),
    Refusal(
      "more than 40 ports in a deny rule", rule("toPorts: [{ports: [\(many)]}]", in: "egressDeny"),
      "7:23 spec.egressDeny[0].toPorts[0].ports", says: "at most 40"),
    Refusal(
      "more than 40 types", rule("icmps: [{fields: [\(manyTypes)]}]"), "7:22 spec.ingress[0].icmps[0].fields",
      says: "at most 40"),
    Refusal(
      "a port that is a number", ports("{ports: [{port: 80}]}"),
      "7:31 spec.ingress[0].toPorts[0].ports[0].port",
      says: "put it in quotes"),
    Refusal(
      "no port", ports("{ports: [{protocol: TCP}]}"), "7:24 spec.ingress[0].toPorts[0].ports[0].port",
      says: "`port` is required"),
    Refusal(
      "an octal port", ports("{ports: [{port: '0080'}]}"), "7:31 spec.ingress[0].toPorts[0].ports[0].port",
      says: "`0080`"),
    Refusal(
      "a port beyond the last", ports("{ports: [{port: '65536'}]}"),
      "7:31 spec.ingress[0].toPorts[0].ports[0].port", says: "0 to 65535 in quotes"),
    Refusal(
      "a name that is too long", ports("{ports: [{port: a234567890123456}]}"),
      "7:31 spec.ingress[0].toPorts[0].ports[0].port", says: "a port's name"),
    Refusal(
      "a range of a name", ports("{ports: [{port: http, endPort: 90}]}"),
      "7:31 spec.ingress[0].toPorts[0].ports[0].port", says: "a number beside `endPort`"),
    Refusal(
      "a range that ends before it starts", ports("{ports: [{port: '90', endPort: 80}]}"),
      "7:31 spec.ingress[0].toPorts[0].ports[0].port", says: "`endPort` (80) or less"),
    Refusal(
      "an end beyond the last port", ports("{ports: [{port: '90', endPort: 65536}]}"),
      "7:46 spec.ingress[0].toPorts[0].ports[0].endPort", says: "0 to 65535"),
    Refusal(
      "a protocol in lower case", ports("{ports: [{port: '80', protocol: tcp}]}"),
      "7:47 spec.ingress[0].toPorts[0].ports[0].protocol", says: "did you mean `TCP`?"),
    Refusal(
      "HTTP rules on UDP", ports("{ports: [{port: '80', protocol: UDP}], rules: {http: [{}]}}"),
      "7:47 spec.ingress[0].toPorts[0].ports[0].protocol", says: "expected TCP beside `rules`, found UDP"),
    Refusal(
      "HTTP rules on any protocol", ports("{ports: [{port: '80'}], rules: {http: []}}"),
      "7:24 spec.ingress[0].toPorts[0].ports[0].protocol", says: "found ANY, the default"),
    Refusal(
      "HTTP rules on every port", ports("{ports: [{port: '0', protocol: TCP}], rules: {http: [{}]}}"),
      "7:31 spec.ingress[0].toPorts[0].ports[0].port", says: "0 stands for every port"),
    Refusal(
      "an unknown HTTP member", http("{paths: a}"), "7:70 spec.ingress[0].toPorts[0].rules.http[0].paths",
      says: "did you mean `path`?"),
    Refusal(
      "a header's name", http("{headers: ['X Y: z', 'X:y', ':path /']}"),
      "7:90 spec.ingress[0].toPorts[0].rules.http[0].headers[1]",
      "7:97 spec.ingress[0].toPorts[0].rules.http[0].headers[2]", says: "a header's name"),
    Refusal(
      "a header match without a name", http("{headerMatches: [{value: a}]}"),
      "7:86 spec.ingress[0].toPorts[0].rules.http[0].headerMatches[0].name", says: "`name` is required"),
    Refusal(
      "an unknown mismatch", http("{headerMatches: [{name: a, mismatch: DROP}]}"),
      "7:106 spec.ingress[0].toPorts[0].rules.http[0].headerMatches[0].mismatch", says: "expected LOG, ADD"),
    Refusal(
      "an ICMP entry without fields", rule("icmps: [{}]"), "7:13 spec.ingress[0].icmps[0].fields",
      says: "at least one ICMP field"),
    Refusal(
      "an ICMP type beyond a byte", rule("icmps: [{fields: [{type: 256}, {type: -1}, {type: '08'}]}]"),
      "7:30 spec.ingress[0].icmps[0].fields[0].type", "7:43 spec.ingress[0].icmps[0].fields[1].type",
      "7:55 spec.ingress[0].icmps[0].fields[2].type", says: "from 0 to 255"),
    Refusal(
      "a type of the other family", rule("icmps: [{fields: [{type: PacketTooBig}]}]"),
      "7:30 spec.ingress[0].icmps[0].fields[0].type", says: "expected an ICMP type"),
    Refusal(
      "an unknown family", rule("icmps: [{fields: [{type: 8, family: ipv4}]}]"),
      "7:41 spec.ingress[0].icmps[0].fields[0].family", says: "did you mean `IPv4`?"),
  ])
func `a rule Cilium would refuse is refused at the value that is wrong`(row: Refusal) {
  #expect(places(row.text) == row.places)
  #expect(message(row.text).contains(row.says), "\(message(row.text))")
}
