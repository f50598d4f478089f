import Policy

/// What a stock Envoy is told: a static bootstrap once, and one ECDS file with the L7 rules at each
/// generation. Written for Envoy 1.40.
public enum Envoy {
  /// Paths inside the agent's run directory for one proxy:
  /// `proxies/NAMESPACE_NAME/{l7.json,admin.sock,access.log}`. A Unix socket's path has at most 107 bytes, so
  /// a very long run directory keeps Envoy from starting.
  public struct Paths: Sendable {
    public var directory: String
    public var rules: String { directory + "/l7.json" }
    public var admin: String { directory + "/admin.sock" }
    public var accessLog: String { directory + "/access.log" }

    public init(runDirectory: String, proxy: Name) {
      directory = "\(runDirectory)/proxies/\(proxy.namespace)_\(proxy.name)"
    }
  }

  /// The arguments that belong to the bootstrap, after `-c FILE`.
  ///
  /// - `--reject-unknown-dynamic-fields`: by default Envoy ignores a field it does not know, and a rule
  ///   without one of its conditions allows more than it should. With this it refuses the file and keeps the
  ///   one in force.
  /// - `--disable-hot-restart`: hot restart claims a host-wide name (`--base-id`, 0 unless set), so that a
  ///   second Envoy on the node would not start.
  public static let arguments = ["--reject-unknown-dynamic-fields", "--disable-hot-restart"]

  /// The name of the ECDS filter, in the bootstrap, in the rules file and in Envoy's statistics.
  static let filter = "l7policy"

  static func type(_ name: String) -> JSON { .string("type.googleapis.com/envoy." + name) }
}
