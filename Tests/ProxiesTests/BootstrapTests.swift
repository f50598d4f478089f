import Policy
import Testing

@testable import Proxies

@Suite struct BootstrapTests {
  private let paths = Envoy.Paths(runDirectory: "/run/weir", proxy: Name("shop", "envoy"))

  private func bootstrap(_ addresses: [IPAddress]) throws -> Parsed {
    try Parsed(Envoy.bootstrap(for: proxy(addresses, port: 15006), paths: paths))
  }

  @Test("Each address of the Proxy has a listener of its own, on the Proxy's port")
  func listeners() throws {
    let both = try bootstrap([IPAddress(bits: 1), IPAddress(v4: 0x7f00_0001)])
    let sockets = both["static_resources"]["listeners"].elements.map { $0["address"]["socket_address"] }
    #expect(
      sockets == [
        ["address": "::1", "port_value": 15006], ["address": "127.0.0.1", "port_value": 15006],
      ])
    let one = try bootstrap([IPAddress(v4: 0x0a00_0005)])
    #expect(one["static_resources"]["listeners"].elements.map { $0["name"] } == ["redirected4"])
  }

  @Test("Nothing but the one filter is discovered, and until its file is read every request is refused")
  func discovery() throws {
    let document = try bootstrap([IPAddress(v4: 0x7f00_0001)])
    #expect(document["dynamic_resources"] == .null)
    let filters = manager(in: document)["http_filters"].elements
    #expect(filters.map { $0["name"] } == ["l7policy", "envoy.filters.http.router"])
    let discovery = filters[0]["config_discovery"]
    // An RBAC filter with `rules` and no policy in them allows nothing; without `rules` it would allow
    // everything.
    #expect(discovery["default_config"]["rules"] == [:])
    #expect(discovery["apply_default_config_without_warming"] == true)
    #expect(
      discovery["config_source"]["path_config_source"] == [
        "path": "/run/weir/proxies/shop_envoy/l7.json",
        "watched_directory": ["path": "/run/weir/proxies/shop_envoy"],
      ])
  }

  @Test("The admin socket is a file for its owner only")
  func admin() throws {
    let document = try bootstrap([IPAddress(v4: 0x7f00_0001)])
    #expect(
      document["admin"]["address"] == [
        "pipe": ["path": "/run/weir/proxies/shop_envoy/admin.sock", "mode": 0o600]
      ])
  }

  @Test("The same proxy has the same bootstrap, in whatever order its addresses are")
  func deterministic() {
    let addresses = [IPAddress(bits: 1), IPAddress(v4: 0x7f00_0001)]
    let texts = [addresses, addresses, addresses.reversed()].map {
      Envoy.bootstrap(for: proxy($0, port: 15006), paths: paths)
    }
    #expect(Set(texts).count == 1)
  }
}

func proxy(_ addresses: [IPAddress], port: UInt16) -> Proxy {
  Proxy(
    name: Name("shop", "envoy"), kind: .envoy, cgroup: "shop/envoy", addresses: addresses, port: port,
    takes: nil, place: Place(file: "proxy.yaml", line: 1, column: 1))
}

/// The HTTP connection manager of a bootstrap's first listener.
func manager(in document: Parsed) -> Parsed {
  document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}
