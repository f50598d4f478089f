extension YAML {
  /// Reads the YAML that kubectl prints and that nearly everybody writes, several times as fast as libyaml: ASCII,
  /// block mappings and sequences, plain, quoted and literal scalars, flow collections within one line. Whatever
  /// else there is, and whatever is wrong, it declines, and `Parser` reads the file from its beginning: what is an
  /// error, and how it is said, is known there alone. What it does not decline it reads as `Parser` does, with the
  /// same places.
  struct Quick: ~Copyable {
    struct Declined: Error {}

    /// A simple key of libyaml may have 1024 characters, and comparing each key with each has an end, too.
    private static let longestKey = 512
    private static let mostKeys = 256
    private static let deepest = 60
    /// What was read of a file by the time it is declined is read twice: that should not be much.
    private static let mostDocuments = 10_000

    var cursor: Cursor
    private var entries = Stack<Entry>()
    private var items = Stack<Node>()
    private var nodes = 0
    private var documents = 0

    /// The bytes must outlive it, be `Cursor.isOrdinary`, and `Cursor.padding` must follow them.
    init(_ bytes: UnsafePointer<UInt8>, count: Int) { cursor = Cursor(bytes, count: count) }

    /// The next document that is not empty; nil after the last.
    mutating func next() throws(Declined) -> Node? {
      if documents == 0 {
        try cursor.beginLine()
        documents = cursor.isMarker ? 0 : 1
      }
      while cursor.isMarker {
        documents += 1
        nodes += 1
        cursor.passMarker()
        try cursor.endLine()
      }
      guard nodes <= Limit.nodes, documents <= Quick.mostDocuments else { throw Declined() }
      if cursor.indent < 0 { return nil }
      let document = try block(depth: 1)
      // What is further to the right than it should be, or an end of the document that was not told.
      guard cursor.indent < 0 else { throw Declined() }
      return document
    }

    /// A value that begins a line; afterwards the cursor is at the next line that is not its.
    private mutating func block(depth: Int) throws(Declined) -> Node {
      guard depth < Quick.deepest else { throw Declined() }
      switch cursor.byte {
      case UInt8(ascii: "{"), UInt8(ascii: "["): return try inline(under: cursor.indent - 1, depth: depth)
      default: break
      }
      return cursor.isDash
        ? try sequence(at: cursor.indent, depth: depth) : try mapping(at: cursor.indent, depth: depth)
    }

    private mutating func mapping(at column: Int, depth: Int) throws(Declined) -> Node {
      let (line, base) = (cursor.line, entries.count)
      repeat {
        if cursor.isDash { throw Declined() }
        let key = try key()
        let after = cursor.at
        cursor.passBlanks()
        let value: Node
        if cursor.isLineEnd {
          let (line, end) = (cursor.line, cursor.column(of: after))
          try cursor.endLine()
          if cursor.indent > column {
            value = try block(depth: depth + 1)
          } else if cursor.indent == column, cursor.isDash {
            value = try sequence(at: column, depth: depth + 1)
          } else {
            value = node(.null, line, end)
          }
        } else {
          guard cursor.at > after else { throw Declined() }
          value = try inline(under: column, depth: depth + 1)
        }
        entries.push(Entry(key: key.text, line: key.line, column: key.column, node: value))
      } while cursor.indent == column
      guard cursor.indent < column else { throw Declined() }
      return try node(.mapping(takeEntries(base)), line, Int32(column + 1))
    }

    private mutating func sequence(at column: Int, depth: Int) throws(Declined) -> Node {
      guard depth < Quick.deepest else { throw Declined() }
      let (line, base) = (cursor.line, items.count)
      repeat {
        let dash = cursor.at
        cursor.at += 1
        cursor.passBlanks()
        let item: Node
        if cursor.isLineEnd {
          let (line, after) = (cursor.line, cursor.column(of: dash + 1))
          try cursor.endLine()
          item = cursor.indent > column ? try block(depth: depth + 1) : node(.null, line, after)
        } else if cursor.isDash {
          item = try sequence(at: cursor.at - cursor.lineStart, depth: depth + 1)
        } else if cursor.isAtKey {
          item = try mapping(at: cursor.at - cursor.lineStart, depth: depth + 1)
        } else {
          item = try inline(under: column, depth: depth + 1)
        }
        items.push(item)
      } while cursor.indent == column && cursor.isDash
      guard cursor.indent <= column else { throw Declined() }
      return node(.sequence(items.take(from: base)), line, Int32(column + 1))
    }

    /// A value that ends in its line, or a literal one; then to the next line. A line after it that is further to
    /// the right than `column` would belong to it.
    private mutating func inline(under column: Int, depth: Int) throws(Declined) -> Node {
      let value: Node
      if cursor.byte == UInt8(ascii: "|") {
        let (line, start) = (cursor.line, cursor.column(of: cursor.at))
        value = node(.string, line, start, try cursor.literal(under: column))
      } else {
        value = try flow(depth: depth, isBlock: true)
        try cursor.endLine()
      }
      guard cursor.indent <= column else { throw Declined() }
      return value
    }

    /// A scalar, or a flow collection with what is in it.
    private mutating func flow(depth: Int, isBlock: Bool) throws(Declined) -> Node {
      guard depth < Quick.deepest else { throw Declined() }
      let (line, start) = (cursor.line, cursor.column(of: cursor.at))
      switch cursor.byte {
      case UInt8(ascii: "{"):
        let base = entries.count
        if !cursor.opens(UInt8(ascii: "}")) {
          repeat {
            let key = try key()
            let after = cursor.at
            cursor.passBlanks()
            guard key.isQuoted || cursor.at > after else { throw Declined() }
            let value = try flow(depth: depth + 1, isBlock: false)
            entries.push(Entry(key: key.text, line: key.line, column: key.column, node: value))
          } while try cursor.continues(to: UInt8(ascii: "}"))
        }
        return try node(.mapping(takeEntries(base)), line, start)
      case UInt8(ascii: "["):
        let base = items.count
        if !cursor.opens(UInt8(ascii: "]")) {
          repeat {
            items.push(try flow(depth: depth + 1, isBlock: false))
          } while try cursor.continues(to: UInt8(ascii: "]"))
        }
        return node(.sequence(items.take(from: base)), line, start)
      case UInt8(ascii: "\""), UInt8(ascii: "'"):
        return node(.string, line, start, try cursor.quoted())
      default:
        let scalar = isBlock ? try cursor.plain() : try cursor.flowPlain()
        return node(YAML.resolve(scalar), line, start, cursor.text(scalar))
      }
    }

    private struct Key {
      var text: String
      var line: Int32
      var column: Int32
      var isQuoted: Bool
    }

    /// A key and its colon; the cursor is behind it.
    private mutating func key() throws(Declined) -> Key {
      let (line, column, start) = (cursor.line, cursor.column(of: cursor.at), cursor.at)
      let isQuoted = cursor.byte == UInt8(ascii: "\"") || cursor.byte == UInt8(ascii: "'")
      let text: String
      if isQuoted {
        text = try cursor.quoted()
      } else {
        let bytes = cursor.plainKey()
        // What YAML 1.1 takes for something else than a string.
        guard !bytes.isEmpty, case .string = YAML.resolve(bytes) else { throw Declined() }
        text = cursor.text(bytes)
      }
      guard cursor.byte == UInt8(ascii: ":"), cursor.at - start < Quick.longestKey else { throw Declined() }
      cursor.at += 1
      return Key(text: text, line: line, column: column, isQuoted: isQuoted)
    }

    private mutating func node(_ value: Node.Value, _ line: Int32, _ column: Int32, _ text: String = "") -> Node {
      nodes += 1
      return Node(value: value, text: text, line: line, column: column)
    }

    /// A mapping's entries. One with a key that stands twice is declined.
    private mutating func takeEntries(_ base: Int) throws(Declined) -> [Entry] {
      let count = entries.count - base
      guard count <= Quick.mostKeys else { throw Declined() }
      for index in base..<entries.count {
        let length = entries.room[index].key.utf8.count
        for former in base..<index where entries.room[former].key.utf8.count == length {
          if entries.room[former].key == entries.room[index].key { throw Declined() }
        }
      }
      return entries.take(from: base)
    }
  }

  /// Values under construction: those of the mappings and sequences that are open, one after the other.
  fileprivate struct Stack<Element>: ~Copyable {
    private(set) var room = UnsafeMutablePointer<Element>.allocate(capacity: 64)
    private(set) var count = 0
    private var capacity = 64

    mutating func push(_ element: consuming Element) {
      if count == capacity {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: 2 * capacity)
        larger.moveInitialize(from: room, count: count)
        room.deallocate()
        (room, capacity) = (larger, 2 * capacity)
      }
      (room + count).initialize(to: element)
      count += 1
    }

    /// Moves the last ones into an array of just their size.
    mutating func take(from base: Int) -> [Element] {
      let taken = count - base
      if taken == 0 { return [] }
      let from = room + base
      count = base
      return Array(unsafeUninitializedCapacity: taken) { buffer, initialized in
        buffer.baseAddress?.moveInitialize(from: from, count: taken)
        initialized = taken
      }
    }

    deinit {
      room.deinitialize(count: count)
      room.deallocate()
    }
  }
}
