/// What a set of paths held: the objects of every file that is right, and every problem of every file that is not.
public struct Reading: Sendable {
  public var set = PolicySet()
  public var problems: [Problem] = []
  public var files = 0
  public var objects = 0

  public init() {}

  /// Reads files and directories (not below them; names that start with a dot are passed over), in sorted order.
  /// Never throws: what cannot be opened is a problem too.
  public init(paths: [String]) { fatalError("decode") }
}
