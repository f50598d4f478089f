/// What a set of paths held: the objects of every file that is right, and every problem of every file that is
/// not.
public struct Reading: Sendable {
  public var set = PolicySet()
  /// By file, line and column. A file with one contributes nothing to `set`.
  public var problems: [Problem] = []
  /// Files looked at, right or not.
  public var files = 0
  /// Objects in `set`; a List counts as its items.
  public var objects = 0
  /// Bytes of the files that were decoded for this reading; what a Library knew already is not among them.
  public var decoded = 0

  public init() {}

  /// Reads files and directories (not below them; names that start with a dot are passed over), in sorted
  /// order. Never throws: what cannot be opened is a problem too. A file reached twice is read once.
  public init(paths: [String]) { self = Library().read(paths) }

  /// The same for texts that are in memory, each with the name its problems carry.
  public init(texts: [(file: String, text: String)]) {
    var collection = Collection()
    self = collection.join(texts.map { FileReading(file: $0.file, bytes: Array($0.text.utf8)) })
    files = texts.count
  }
}
