/// `security.istio.io/v1` AuthorizationPolicy. An absent list does not restrict; an empty `rules` matches nothing,
/// a rule without from and to matches everything.
public struct AuthorizationPolicy: Sendable {
  public enum Action: String, Sendable {
    case allow = "ALLOW"
    case deny = "DENY"
  }

  /// Istio's string match: `abc` exact, `abc*` prefix, `*abc` suffix, `*` presence (anything not empty).
  public enum Match: Hashable, Sendable {
    case exact(String)
    case prefix(String)
    case suffix(String)
    case presence
  }

  /// Every list that is not empty must match, each by one of its entries; a `not` list by none.
  public struct Source: Hashable, Sendable {
    /// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`
    public var principals: [Match]
    public var notPrincipals: [Match]
    public var namespaces: [Match]
    public var notNamespaces: [Match]

    public init(
      principals: [Match] = [], notPrincipals: [Match] = [], namespaces: [Match] = [],
      notNamespaces: [Match] = []
    ) {
      self.principals = principals
      self.notPrincipals = notPrincipals
      self.namespaces = namespaces
      self.notNamespaces = notNamespaces
    }
  }

  /// `to.operation`. Ports are decided at L4; the rest is about the request.
  public struct Operation: Hashable, Sendable {
    public var ports: [UInt16]
    public var notPorts: [UInt16]
    public var request: RequestMatch

    public init(ports: [UInt16] = [], notPorts: [UInt16] = [], request: RequestMatch = RequestMatch()) {
      self.ports = ports
      self.notPorts = notPorts
      self.request = request
    }
  }

  public struct Rule: Sendable {
    /// OR; empty: every source.
    public var from: [Source]
    /// OR; empty: every operation.
    public var to: [Operation]
    public var place: Place

    public init(from: [Source], to: [Operation], place: Place) {
      self.from = from
      self.to = to
      self.place = place
    }
  }

  public var name: Name
  /// spec.selector.matchLabels; nil: every workload of the namespace.
  public var selector: Selector?
  public var action: Action
  public var rules: [Rule]
  public var place: Place

  public init(name: Name, selector: Selector?, action: Action, rules: [Rule], place: Place) {
    self.name = name
    self.selector = selector
    self.action = action
    self.rules = rules
    self.place = place
  }
}

/// The part of an operation that only the request can answer. Matching is by Istio's rules: the path without its
/// query; hosts without regard to case.
public struct RequestMatch: Hashable, Sendable {
  public var methods: [AuthorizationPolicy.Match]
  public var notMethods: [AuthorizationPolicy.Match]
  public var paths: [AuthorizationPolicy.Match]
  public var notPaths: [AuthorizationPolicy.Match]
  public var hosts: [AuthorizationPolicy.Match]
  public var notHosts: [AuthorizationPolicy.Match]

  public init(
    methods: [AuthorizationPolicy.Match] = [], notMethods: [AuthorizationPolicy.Match] = [],
    paths: [AuthorizationPolicy.Match] = [], notPaths: [AuthorizationPolicy.Match] = [],
    hosts: [AuthorizationPolicy.Match] = [], notHosts: [AuthorizationPolicy.Match] = []
  ) {
    self.methods = methods
    self.notMethods = notMethods
    self.paths = paths
    self.notPaths = notPaths
    self.hosts = hosts
    self.notHosts = notHosts
  }

  /// Nothing about the request is asked: the rule is decided at L4.
  public var isAny: Bool { self == RequestMatch() }
}

/// An HTTP request, as `weir explain --method GET --path /x --host h` gives it.
public struct Request: Hashable, Sendable {
  public var method: String
  /// As on the request line, with a query if there is one.
  public var path: String
  public var host: String
  public var headers: [String: String]

  public init(method: String, path: String, host: String, headers: [String: String] = [:]) {
    self.method = method
    self.path = path
    self.host = host
    self.headers = headers
  }
}
