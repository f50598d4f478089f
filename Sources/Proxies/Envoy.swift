import Policy

/// What a stock Envoy is told: a static bootstrap once, and one ECDS file with the L7 rules at each generation.
public enum Envoy {
  /// Paths inside the agent's run directory for one proxy: `proxies/NAMESPACE_NAME/{l7.json,admin.sock,access.log}`.
  public struct Paths: Sendable {
    public var directory: String
    public var rules: String { directory + "/l7.json" }
    public var admin: String { directory + "/admin.sock" }
    public var accessLog: String { directory + "/access.log" }

    public init(runDirectory: String, proxy: Name) {
      directory = "\(runDirectory)/proxies/\(proxy.namespace)_\(proxy.name)"
    }
  }

  /// The bootstrap as JSON text (Envoy reads JSON as it reads YAML).
  public static func bootstrap(for proxy: Proxy, paths: Paths) -> String { fatalError("proxies") }

  /// The content of the ECDS file: one RBAC filter, deny-all where no rule allows. `generation` is its version_info.
  public static func rules(_ rules: [L7Rule], generation: UInt32) -> String { fatalError("proxies") }
}
