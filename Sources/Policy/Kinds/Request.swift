/// How one text of a request, or of an identity, is asked for. Bytes are compared.
public enum Match: Hashable, Sendable {
  case exact(String)
  case prefix(String)
  case suffix(String)
  /// Istio's `*`: anything that is not empty.
  case presence
  /// A header that is there, be it empty.
  case any
  /// Istio's path template: `{*}` is one segment, `{**}` zero or more of them (Envoy's URI template).
  case template(String)
  /// The whole text, by RE2's rules, with regard to case (Cilium).
  case regex(String)
}

/// One request header. An absent one satisfies no `values` and every `notValues`.
public struct HeaderMatch: Hashable, Sendable {
  /// In lower case.
  public var name: String
  /// OR; empty: not restricted.
  public var values: [Match]
  public var notValues: [Match]

  public init(name: String, values: [Match], notValues: [Match] = []) {
    self.name = name
    self.values = values
    self.notValues = notValues
  }
}

/// What only the request can answer. Every list that is not empty must match, each by one of its entries; a `not` list
/// by none; of `headers` each entry.
public struct RequestMatch: Hashable, Sendable {
  public var methods: [Match]
  public var notMethods: [Match]
  /// The path without query and fragment (Istio).
  public var paths: [Match]
  public var notPaths: [Match]
  /// The path with its query, as Envoy's `:path` has it after normalisation (Cilium).
  public var urls: [Match]
  /// The Host value with its port, if sent; exact, prefix and suffix without regard to case.
  public var hosts: [Match]
  public var notHosts: [Match]
  public var headers: [HeaderMatch]

  public init(
    methods: [Match] = [], notMethods: [Match] = [], paths: [Match] = [], notPaths: [Match] = [],
    urls: [Match] = [], hosts: [Match] = [], notHosts: [Match] = [], headers: [HeaderMatch] = []
  ) {
    self.methods = methods
    self.notMethods = notMethods
    self.paths = paths
    self.notPaths = notPaths
    self.urls = urls
    self.hosts = hosts
    self.notHosts = notHosts
    self.headers = headers
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
  /// Names in lower case.
  public var headers: [String: String]

  public init(method: String, path: String, host: String, headers: [String: String] = [:]) {
    self.method = method
    self.path = path
    self.host = host
    self.headers = headers
  }
}
