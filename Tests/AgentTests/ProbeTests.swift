import Policy
import Testing

@testable import Agent

struct ProbeTests {
  private let place = TemporaryDirectory()

  private func evaluator(_ text: String) throws -> Evaluator {
    place.write("p.yaml", text)
    let reading = Reading(paths: [place.path])
    try #require(reading.problems.isEmpty, "\(reading.problems)")
    return Evaluator(reading.set)
  }

  private static func workload(_ name: String) -> String {
    """
    apiVersion: weir.dev/v1alpha1
    kind: Workload
    metadata: {name: \(name), namespace: shop, labels: {app: \(name)}}
    spec: {cgroup: shop/\(name)}
    ---

    """
  }

  private static let policies =
    workload("web") + workload("api") + workload("db") + """
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: web}}
        policyTypes: [Egress]
        egress: [{ports: [{port: 5432}, {port: 80}]}]
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: db, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: db}}
        ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432, endPort: 5440}]}]
      ---
      apiVersion: security.istio.io/v1
      kind: AuthorizationPolicy
      metadata: {name: api, namespace: shop}
      spec:
        selector: {matchLabels: {app: api}}
        rules: [{to: [{operation: {ports: ["80"], methods: [GET]}}]}]

      """

  private static let proxy = """
    ---
    apiVersion: weir.dev/v1alpha1
    kind: Proxy
    metadata: {name: envoy, namespace: shop}
    spec: {type: Envoy, cgroup: shop/envoy, listen: {addresses: [127.0.0.1], port: 15001}}

    """

  private func outcome(
    _ from: String?, _ to: String, _ port: UInt16, audited: Set<String> = [], proxy: Bool = true
  ) throws -> FlowOutcome {
    let probe = Probe(
      from: from.map { Name("shop", $0) }, to: Name("shop", to), protocol: .tcp, port: port, isV6: false)
    return Intent(probe, try evaluator(Self.policies + (proxy ? Self.proxy : ""))) { audited.contains($0.name) }.outcome
  }

  @Test func `the source's egress is asked first, then the destination's ingress, then whether requests decide`() throws {
    #expect(try outcome("web", "db", 443) == .deniedEgress)
    #expect(try outcome("web", "db", 5432) == .deniedIngress)
    #expect(try outcome("api", "db", 5432) == .allowed)
    #expect(try outcome("web", "api", 80) == .proxied)
    #expect(try outcome("web", "api", 80, proxy: false) == .deniedIngress, "nobody takes it")
    #expect(try outcome("api", "web", 1) == .allowed)
    #expect(try outcome(nil, "db", 5432) == .deniedIngress)
    #expect(try outcome(nil, "web", 5432) == .allowed)
  }

  @Test func `what an audited side refuses is let through, the other side still refuses`() throws {
    #expect(try outcome("web", "db", 443, audited: ["web"]) == .deniedIngress)
    #expect(try outcome("web", "db", 443, audited: ["web", "db"]) == .allowed)
    #expect(try outcome("web", "db", 5432, audited: ["db"]) == .allowed)
    #expect(try outcome("web", "api", 80, audited: ["api"]) == .allowed)
    #expect(try outcome("web", "api", 80, audited: ["web"]) == .proxied)
  }

  @Test func `an answer is as intended, different, or no answer to the question`() throws {
    let probe = Probe(from: Name("shop", "web"), to: Name("shop", "db"), protocol: .tcp, port: 80, isV6: true)
    func result(_ outcome: FlowOutcome, _ answer: CanaryAnswer, _ probe: Probe? = nil) -> (ProbeResult.Kind, String) {
      let result = ProbeResult(probe ?? Probe(from: Name("shop", "web"), to: Name("shop", "db"), protocol: .tcp, port: 80, isV6: true), Intent(outcome: outcome), answer)
      return (result.result, result.actual)
    }
    #expect(result(.allowed, .arrived(microseconds: 7)) == (.asIntended, "allowed"))
    #expect(result(.deniedEgress, .refused(1, microseconds: 7)) == (.asIntended, "denied-egress"))
    #expect(result(.deniedIngress, .refused(13, microseconds: 7)) == (.asIntended, "denied-ingress"))
    #expect(result(.proxied, .refused(111, microseconds: 7)) == (.asIntended, "proxied"))
    #expect(result(.deniedEgress, .refused(13, microseconds: 7)) == (.different, "denied-ingress"))
    #expect(result(.deniedIngress, .arrived(microseconds: 7)) == (.different, "allowed"))
    #expect(result(.deniedIngress, .silent) == (.different, "no-answer"))
    #expect(result(.allowed, .refused(101, microseconds: 7)) == (.different, "ENETUNREACH"))
    #expect(result(.allowed, .broken("listen", 98)) == (.failed, "listen: EADDRINUSE"))
    var nobody = probe
    nobody.from = nil
    #expect(result(.deniedIngress, .silent, nobody) == (.asIntended, "no-answer"))
    #expect(result(.deniedIngress, .arrived(microseconds: 7), nobody) == (.different, "allowed"))
    #expect(result(.allowed, .silent, nobody) == (.different, "no-answer"))
  }

  @Test func `what is said to and by the canary is understood on the other side`() {
    let ask = CanaryAsk(fromWorkload: true, isUDP: true, isV6: true, port: 53, milliseconds: 250)
    #expect(CanaryAsk(ask.text)?.text == ask.text)
    for answer: CanaryAnswer in [
      .arrived(microseconds: 12), .refused(13, microseconds: 5), .silent, .broken("enter /sys/fs/cgroup/a b", 2),
    ] { #expect(CanaryAnswer(answer.text) == answer) }
    #expect(CanaryAnswer("rests") == nil && CanaryAsk("rest") == nil)
  }

  @Test func `the ports are those of policies and workloads, the neighbours of ranges, and one that nobody names`() throws {
    let set = try evaluator(Self.policies).set
    let ports = ProbedPorts(set, here: []).all.map { "\($0.port)/\($0.protocol.rawValue)" }
    #expect(
      ports == ["80/TCP", "5431/TCP", "5432/TCP", "5440/TCP", "5441/TCP", "20000/TCP", "20000/UDP"])
  }

  @Test(arguments: [0, 1, 2, 7, 60, 1024, 999])
  func `a permutation has each index once, and another seed another order`(count: Int) {
    #expect(Array(Permutation(count, seed: 5)).sorted() == Array(0..<count))
    if count > 50 { #expect(Array(Permutation(count, seed: 5)) != Array(Permutation(count, seed: 6))) }
    #expect(Array(Permutation(count, seed: 5)) == Array(Permutation(count, seed: 5)))
  }
}
