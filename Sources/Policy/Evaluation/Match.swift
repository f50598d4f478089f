/// What one end of a flow is to an AuthorizationPolicy. nil principal and namespace: no identity (an address
/// outside).
struct AuthorizationPeer: Hashable {
  var namespace: String?
  /// `cluster.local/ns/NAMESPACE/sa/ACCOUNT`, without `spiffe://`, as Istio's documentation writes
  /// principals.
  var principal: String?

  static let outside = AuthorizationPeer(namespace: nil, principal: nil)

  init(namespace: String?, principal: String?) {
    self.namespace = namespace
    self.principal = principal
  }

  init(_ endpoint: Endpoint) {
    namespace = endpoint.name.namespace
    principal = "cluster.local/ns/\(endpoint.name.namespace)/sa/\(endpoint.serviceAccount)"
  }
}

extension Match {
  /// Bytes are compared, as Envoy does: Swift's own String comparison takes canonically equivalent texts for
  /// equal, which would let a request past a rule that the proxy reads differently.
  func matches(_ text: String, ignoringCase: Bool = false) -> Bool {
    func same(_ a: UInt8, _ b: UInt8) -> Bool {
      func lower(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
      }
      return a == b || (ignoringCase && lower(a) == lower(b))
    }
    switch self {
    case .exact(let wanted): return text.utf8.elementsEqual(wanted.utf8, by: same)
    case .prefix(let wanted): return text.utf8.starts(with: wanted.utf8, by: same)
    case .suffix(let wanted): return text.utf8.reversed().starts(with: wanted.utf8.reversed(), by: same)
    // Istio generates `.+` for `*`: pilot/pkg/security/authz/matcher/string.go.
    case .presence: return !text.isEmpty
    case .any: return true
    case .template, .regex: return Language.of(self).matches(text)
    }
  }
}

/// Whether one of the addresses is in every list that is not empty, and in none of the `not` lists. Without
/// an address no list holds, and every `not` list does.
func someAddress(of addresses: [IPAddress], isIn lists: [[CIDR]], andNotIn notLists: [[CIDR]]) -> Bool {
  if addresses.isEmpty { return lists.allSatisfy(\.isEmpty) }
  return addresses.contains { address in
    lists.allSatisfy { list in list.isEmpty || list.contains { $0.contains(address) } }
      && notLists.allSatisfy { list in !list.contains { $0.contains(address) } }
  }
}

extension AuthorizationPolicy.Source {
  func matches(_ peer: AuthorizationPeer, at addresses: [IPAddress]) -> Bool {
    matches(peer)
      && someAddress(
        of: addresses, isIn: [ipBlocks, remoteIpBlocks], andNotIn: [notIpBlocks, notRemoteIpBlocks])
  }

  /// What it asks beside addresses. A source without identity satisfies no list, and every `not` list; no
  /// request has a JWT.
  func matches(_ peer: AuthorizationPeer) -> Bool {
    func holds(_ any: [Match], _ none: [Match], _ text: String?)
      -> Bool
    {
      guard let text else { return any.isEmpty }
      return (any.isEmpty || any.contains { $0.matches(text) }) && !none.contains { $0.matches(text) }
    }
    return holds(principals, notPrincipals, peer.principal)
      && holds(namespaces, notNamespaces, peer.namespace) && requestPrincipals.isEmpty
  }
}

extension AuthorizationPolicy.Operation {
  /// The part that is decided without the request.
  func matches(port: UInt16) -> Bool {
    (ports.isEmpty || ports.contains(port)) && !notPorts.contains(port)
  }
}

extension RequestMatch {
  /// Istio's rules (pilot/pkg/security/authz/model/generator.go and matcher/header.go): methods and paths
  /// with regard to case, the path without query and fragment; hosts without regard to case against the Host
  /// value as sent, its port included. The `host:*` that Istio adds for a host without a port belongs to
  /// VirtualService and Gateway routing; an AuthorizationPolicy compares the text alone (Istio security best
  /// practices, "host match policies"), so `example.com` does not match a request to `example.com:8080`.
  /// Cilium's `path` is about the value with its query.
  ///
  /// The request is taken as it is: `Request.normalized` is what a proxy judges.
  func matches(_ request: Request) -> Bool {
    func holds(_ any: [Match], _ none: [Match], _ text: String, ignoringCase: Bool = false) -> Bool {
      (any.isEmpty || any.contains { $0.matches(text, ignoringCase: ignoringCase) })
        && !none.contains { $0.matches(text, ignoringCase: ignoringCase) }
    }
    return holds(methods, notMethods, request.method)
      && holds(paths, notPaths, String(Self.path(of: request.path))) && holds(urls, [], request.path)
      && holds(hosts, notHosts, request.host, ignoringCase: true)
      && headers.allSatisfy { $0.matches(request.value(of: $0.name)) }
  }

  /// What Istio calls the path: without query and fragment.
  static func path(of url: String) -> Substring { url.prefix { $0 != "?" && $0 != "#" } }
}

extension HeaderMatch {
  /// - Parameter value: nil: the request has no such header.
  func matches(_ value: String?) -> Bool {
    guard let value else { return values.isEmpty }
    return (values.isEmpty || values.contains { $0.matches(value) }) && !notValues.contains { $0.matches(value) }
  }
}

extension Request {
  /// A header as Envoy's header matchers see it: the parts of the request line are headers, too, and Host is
  /// another name of `:authority`.
  func value(of name: String) -> String? {
    switch name {
    case ":method": method
    case ":path": path
    case ":authority", "host": host
    default: headers[name]
    }
  }
}
