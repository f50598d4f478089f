/// What one file holds, by kind and in its order.
struct Objects: Sendable {
  var namespaces: [Namespace] = []
  var endpoints: [Endpoint] = []
  var nodes: [Node] = []
  var services: [Service] = []
  var slices: [EndpointSlice] = []
  var proxies: [Proxy] = []
  var subtrees: [Subtree] = []
  var networkPolicies: [NetworkPolicy] = []
  var adminPolicies: [AdminPolicy] = []
  /// One object may be several policies.
  var ciliumPolicies: [CiliumPolicy] = []
  private var ciliumObjects = 0
  var authorizationPolicies: [AuthorizationPolicy] = []

  var inventoryCount: Int {
    namespaces.count + endpoints.count + nodes.count + services.count + slices.count + proxies.count
  }

  var policyCount: Int {
    networkPolicies.count + adminPolicies.count + ciliumObjects + authorizationPolicies.count
  }

  var count: Int { inventoryCount + policyCount + subtrees.count }

  mutating func add(_ object: Object) {
    switch object {
    case .namespace(let namespace): namespaces.append(namespace)
    case .endpoint(let endpoint): endpoints.append(endpoint)
    case .node(let node): nodes.append(node)
    case .service(let service): services.append(service)
    case .slice(let slice): slices.append(slice)
    case .proxy(let proxy): proxies.append(proxy)
    case .subtree(let subtree): subtrees.append(subtree)
    case .networkPolicy(let policy): networkPolicies.append(policy)
    case .adminPolicy(let policy): adminPolicies.append(policy)
    case .ciliumPolicies(let specs):
      ciliumPolicies += specs
      ciliumObjects += 1
    case .authorizationPolicy(let policy): authorizationPolicies.append(policy)
    }
  }

  /// Appends the other's inventory, without places: what a comparison is about.
  mutating func addInventory(of other: Objects) {
    func placeless<T: Placed>(_ objects: [T]) -> [T] {
      objects.map { object in
        var object = object
        object.place = Place(file: "", line: 0, column: 0)
        return object
      }
    }
    namespaces += placeless(other.namespaces)
    endpoints += placeless(other.endpoints)
    nodes += placeless(other.nodes)
    services += placeless(other.services)
    slices += placeless(other.slices)
    proxies += placeless(other.proxies)
  }

  func hasInventory(of other: Objects) -> Bool {
    namespaces == other.namespaces && endpoints == other.endpoints && nodes == other.nodes
      && services == other.services && slices == other.slices && proxies == other.proxies
  }
}

/// An object of a file, and where it stands there.
private protocol Placed {
  var place: Place { get set }
}

extension Namespace: Placed {}
extension Endpoint: Placed {}
extension Node: Placed {}
extension Service: Placed {}
extension EndpointSlice: Placed {}
extension Proxy: Placed {}

extension PolicySet {
  /// Takes a file's inventory out. Its names stand in no other file.
  mutating func remove(inventoryOf objects: Objects) {
    for namespace in objects.namespaces { namespaces[namespace.name] = nil }
    for endpoint in objects.endpoints { endpoints[endpoint.name] = nil }
    for node in objects.nodes { nodes[node.name] = nil }
    for service in objects.services { services[service.name] = nil }
    for slice in objects.slices { slices[slice.name] = nil }
    for proxy in objects.proxies { proxies[proxy.name] = nil }
  }

  mutating func add(inventoryOf objects: Objects) {
    for namespace in objects.namespaces { namespaces[namespace.name] = namespace }
    for endpoint in objects.endpoints { endpoints[endpoint.name] = endpoint }
    for node in objects.nodes { nodes[node.name] = node }
    for service in objects.services { services[service.name] = service }
    for slice in objects.slices { slices[slice.name] = slice }
    for proxy in objects.proxies { proxies[proxy.name] = proxy }
  }

  /// The policies and Subtrees of these files, in their order, in the place of all that were there.
  mutating func setPolicies(_ files: [Objects]) {
    subtrees = [:]
    for subtree in files.lazy.flatMap(\.subtrees) { subtrees[subtree.name] = subtree }
    networkPolicies = files.flatMap(\.networkPolicies)
    adminPolicies = files.flatMap(\.adminPolicies)
    ciliumPolicies = files.flatMap(\.ciliumPolicies)
    authorizationPolicies = files.flatMap(\.authorizationPolicies)
  }
}
