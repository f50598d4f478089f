extension Envoy {
  /// What an Envoy says about the rules it was given. It has no other answer than its statistics: `GET`
  /// `Acknowledgement.path` on the admin socket.
  ///
  /// After a rename, wait until `generation` is the new one (in force: workers take it up at the next turn of their
  /// event loop), or `refusals` is higher than it was before (refused: the old rules stay; why is in Envoy's log).
  public struct Acknowledgement: Sendable, Hashable {
    public static let path = "/stats?filter=\(statistic)"

    private static let statistic = "extension_config_discovery.http_filter.\(filter)."

    /// Of the rules in force; nil while Envoy has none and refuses every request.
    public var generation: UInt32?
    /// How many files were refused since Envoy started: no JSON, an unknown field, a value out of bounds.
    public var refusals: Int

    /// Reads the body of the answer: lines `NAME: VALUE`, text in quotation marks.
    public init(statistics text: some StringProtocol) {
      generation = nil
      refusals = 0
      for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(Self.statistic) {
        let words = line.dropFirst(Self.statistic.count).split(separator: ": ", maxSplits: 1)
        guard words.count == 2 else { continue }
        switch words[0] {
        case "version_text": generation = words[1].split(separator: "\"").first.flatMap { UInt32($0) }
        case "update_rejected", "update_failure": refusals += Int(words[1]) ?? 0
        default: break
        }
      }
    }
  }
}
