import FoundationEssentials
import Testing

@testable import Policy

@Suite struct EngineExplainTests {
  static var shop: World {
    var world = EngineAuthorizationPolicyTests.shop
    world.network("shop/a-db", ingress: [])
    world.network(
      "shop/b-api", selects: labels(["app": "api"]),
      ingress: [
        rule(), rule([block(v4(10, 0, 0, 0), 8)]),
      ])
    world.authorization(
      "shop/get", selects: labels(["app": "api"]),
      rules: [
        authorizationRule(to: [EngineAuthorizationPolicyTests.gets])
      ])
    return world
  }

  func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  @Test func `a refusal names the policy, its place, and the layer that allowed`() throws {
    let explanation = Self.shop.evaluator.explain(flow("shop/api", "shop/web"), request: nil)
    #expect(
      try json(explanation) == """
        {"layers":[\
        {"considered":[],"layer":"egress","reason":"not-selected","tier":"default","verdict":"allowed"},\
        {"considered":[],"layer":"ingress","policy":{"file":"test.yaml","kind":"NetworkPolicy","line":1,\
        "name":"a-db","namespace":"shop","rule":""},"reason":"no-rule","tier":"namespaced","verdict":"denied"}],\
        "verdict":"denied"}
        """)
  }

  @Test func `a proxied flow without a request is allowed, and says where nobody enforces it`() {
    let explanation = Self.shop.evaluator.explain(flow("ops/batch", "shop/api"), request: nil)
    #expect(explanation.verdict == "allowed")
    #expect(explanation.layers.map(\.verdict) == ["allowed", "proxied"])
    #expect(explanation.layers[1].policy?.rule == "rules[0]" && explanation.layers[1].policy?.line == 20)
    #expect(explanation.layers[1].considered.map(\.name) == ["a-db", "b-api"])
    #expect(explanation.enforced == false)
    #expect(
      explanation.why == "no Proxy takes shop/api: until one does, every connection of this flow is refused")
  }

  @Test func `a request is answered in a layer of its own`() {
    var world = Self.shop
    world.proxy("shop/envoy")
    let get = EngineAuthorizationPolicyTests.get()
    let put = EngineAuthorizationPolicyTests.get("/", "PUT")
    let good = world.evaluator.explain(flow("ops/batch", "shop/api"), request: get)
    #expect(good.verdict == "allowed" && good.layers.map(\.layer) == ["egress", "ingress", "l7"])
    #expect(good.enforced == nil && good.layers[2].verdict == "allowed")
    let bad = world.evaluator.explain(flow("ops/batch", "shop/api"), request: put)
    #expect(bad.verdict == "denied" && bad.layers[2].reason == "no-rule")
    let refused = world.evaluator.explain(flow("ops/batch", "shop/web"), request: get)
    #expect(refused.layers.map(\.layer) == ["egress", "ingress"])
  }

  @Test func `an address outside has no policies of its own`() {
    let explanation = Self.shop.evaluator.explain(flow("shop/web", to: v4(8, 8, 8, 8)), request: nil)
    #expect(explanation.verdict == "allowed")
    #expect(explanation.layers.map(\.reason) == ["not-selected", "not-selected"])
    #expect(explanation.layers.allSatisfy { $0.considered.isEmpty })
  }

  @Test func `a matrix has every endpoint and the addresses named, each way`() throws {
    var world = Self.shop
    world.network("ops/out", egress: [rule([block(v4(8, 8, 8, 8), 32)])])
    let matrix = world.evaluator.matrix(
      ports: [(.tcp, 80), (.udp, 53)], outside: [(name: "ip:8.8.8.8", address: v4(8, 8, 8, 8))])
    #expect(matrix.endpoints == ["ops/batch", "shop/api", "shop/web", "ip:8.8.8.8"])
    #expect(
      matrix.ports["80/TCP"]?["ops/batch"] == [
        "ops/batch": "self", "shop/api": "denied-egress", "shop/web": "denied-both", "ip:8.8.8.8": "allowed",
      ])
    #expect(
      matrix.ports["80/TCP"]?["ip:8.8.8.8"] == [
        "ops/batch": "allowed", "shop/api": "proxied", "shop/web": "denied-ingress", "ip:8.8.8.8": "allowed",
      ])
    #expect(matrix.ports["53/UDP"]?["shop/web"]?["shop/api"] == "allowed")
    let small = Matrix(endpoints: ["a/b"], ports: ["80/TCP": ["a/b": ["a/b": "self"]]])
    #expect(try json(small) == #"{"endpoints":["a/b"],"ports":{"80/TCP":{"a/b":{"a/b":"self"}}}}"#)
  }

  @Test func `a matrix says what egress and ingress say one by one`() throws {
    for seed in UInt64(1)...40 {
      let evaluator = RandomWorld(seed: seed).world.evaluator
      let rows = evaluator.matrix(ports: [(.tcp, 80)], outside: []).ports["80/TCP"] ?? [:]
      for (from, row) in rows {
        for (to, word) in row where from != to {
          let flow = Flow(from: try Party(from), to: try Party(to), protocol: .tcp, port: 80)
          let leaving = evaluator.egress(flow).verdict
          let entering = evaluator.ingress(flow).verdict
          let want =
            leaving == .denied
            ? (entering == .denied ? "denied-both" : "denied-egress")
            : entering == .denied ? "denied-ingress" : entering == .allowed ? leaving.rawValue : entering.rawValue
          #expect(word == want)
        }
      }
    }
  }
}
