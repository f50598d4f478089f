/// What a file decodes to.
enum Object {
  case namespace(Namespace)
  case endpoint(Endpoint)
  case node(Node)
  case service(Service)
  case slice(EndpointSlice)
  case proxy(Proxy)
  case subtree(Subtree)
  case networkPolicy(NetworkPolicy)
  case adminPolicy(AdminPolicy)
  case authorizationPolicy(AuthorizationPolicy)
  /// One object; as many policies as it has specs.
  case ciliumPolicies([CiliumPolicy])
}

/// Something that only one object of a set may have.
struct Claim: Sendable {
  enum Key: Hashable, Sendable {
    /// A kind's name. Workloads and Pods share the kind `endpoint`: policies select them alike.
    case name(kind: String, Name)
    case cgroup(String)
    /// A systemd unit.
    case unit(String)
    /// What a Pod's cgroup is called by.
    case uid(String)
    case address(IPAddress)
    /// Nodes among themselves: pods on the host's network and Workloads have their node's address too.
    case nodeAddress(IPAddress)
  }

  var key: Key
  /// `Workload shop/web`
  var owner: String
  var place: Place
  var field: String

  /// Said at the second claim, of the first.
  func conflict(with first: Claim) -> Problem {
    let other = "\(first.owner) (\(shown(first.place.file)):\(first.place.line):\(first.place.column))"
    let message =
      switch key {
      case .name where owner == first.owner:
        "\(owner) is already defined (\(shown(first.place.file)):\(first.place.line):\(first.place.column))"
      case .name: "\(owner) has the name of \(other); a name stands for one endpoint"
      case .unit(let name): "the unit \(quoted(name)) is already that of \(other)"
      case .uid(let uid): "the uid \(quoted(uid)) is already that of \(other)"
      case .cgroup(let path): "the cgroup \(quoted(path)) is already that of \(other)"
      case .address(let address), .nodeAddress(let address): "the address \(address) is already that of \(other)"
      }
    return Problem(file: place.file, line: place.line, column: place.column, field: field, message: message)
  }
}
