/// What a change of policy opens and closes: the answer of `weir diff`, encoded as its JSON. Meaning is
/// compared, not text.
public struct PolicyDiff: Sendable, Codable {
  /// Flows that are judged otherwise for one reason.
  public struct Entry: Sendable, Codable {
    /// The rule that makes it so; nil where no rule speaks any more, and none did by name.
    public var rule: Finding.Policy?
    /// The rule is one of the old set, and is gone or says less; false: it is one of the new set.
    public var isLost: Bool
    /// Every one of `from` to every one of `to`, but nobody to itself.
    public var from, to: [String]
    /// `80/TCP`, `1-65535/UDP`
    public var ports: [String]
    /// Examples, where only some requests are judged otherwise.
    public var requests: [Witness.Request]?
    /// allowed, denied or proxied; of a request allowed or denied
    public var before, after: String
    /// What follows `weir explain PATH...` to see it, with OLD and with NEW.
    public var explain: String

    enum CodingKeys: String, CodingKey {
      case rule, from, to, ports, requests, before, after, explain
      case isLost = "lost"
    }
  }

  /// Endpoints and nodes that only one side knows. What they may reach is not compared.
  public var added, removed: [String]
  /// By rule.
  public var opened, closed: [Entry]
  /// Differences that the naive evaluator did not confirm. They are not told; there should be none.
  var unconfirmed: [String] = []

  enum CodingKeys: String, CodingKey { case added, removed, opened, closed }

  public var isEmpty: Bool { added.isEmpty && removed.isEmpty && opened.isEmpty && closed.isEmpty }

  public init(old: PolicySet, new: PolicySet) {
    func named(_ set: PolicySet) -> Set<Party> {
      Set(set.endpoints.keys.map(Party.endpoint) + set.nodes.keys.map(Party.node))
    }
    let (before, after) = (named(old), named(new))
    added = after.subtracting(before).map(\.description).sorted()
    removed = before.subtracting(after).map(\.description).sorted()
    opened = []
    closed = []
    var comparing = SetComparison(old: old, new: new)
    comparing.run()
    unconfirmed = comparing.unconfirmed
    opened = comparing.entries(opening: true)
    closed = comparing.entries(opening: false)
  }
}
