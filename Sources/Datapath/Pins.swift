import CDatapath
import CLibbpf
import CLinux
import Glibc

/// The directories that hold the pins of one layout: DIR/v1/maps and DIR/v1/links. Where there are links, the layout's
/// tables are whole.
struct Pins {
  /// DIR.
  let root: String
  /// 1.
  let number: UInt32
  /// DIR/v1.
  let layout: String
  var maps: String { "\(layout)/maps" }
  var links: String { "\(layout)/links" }
  /// What else is to be known of the pins, as symbolic links: bpffs holds no other text.
  var notes: String { "\(layout)/notes" }

  init(_ directory: String, layout number: UInt32 = UInt32(WEIR_LAYOUT)) {
    root = directory
    self.number = number
    layout = "\(directory)/v\(number)"
  }

  /// A link's pin; a proxy's carries its number. bpffs allows no dot in a name.
  func link(_ name: String, proxy: UInt32? = nil) -> String { "\(links)/\(Pins.name(name, proxy: proxy))" }

  /// The last part of its path.
  static func name(_ name: String, proxy: UInt32? = nil) -> String { name + (proxy.map { "_p\($0)" } ?? "") }

  /// What a pin is for: `getsockopt_p3` is getsockopt at proxy 3, `tcp_destroy_sock` has no proxy.
  static func parse(_ pin: String) -> (name: String, proxy: UInt32?) {
    guard let end = pin.lastIndex(of: "_"), pin[pin.index(after: end)...].hasPrefix("p"),
      let number = UInt32(pin[end...].dropFirst(2))
    else { return (pin, nil) }
    return (String(pin[..<end]), number)
  }

  /// Refuses a directory that is not on bpffs, or cannot be.
  static func checkDirectory(_ directory: String) throws(DatapathError) {
    let step = "use as pin directory"
    guard directory.hasPrefix("/"), let slash = directory.lastIndex(of: "/") else {
      throw DatapathError(step: step, subject: directory, code: EINVAL, advice: "must be an absolute path")
    }
    let name = directory[directory.index(after: slash)...]
    guard !name.isEmpty, !name.contains(".") else {
      throw DatapathError(
        step: step, subject: directory, code: EINVAL, advice: "bpffs allows no dot in a name")
    }
    let parent = slash == directory.startIndex ? "/" : String(directory[..<slash])
    var about = stat()
    let exists = stat(directory, &about) == 0
    if exists, about.st_mode & S_IFMT != S_IFDIR {
      throw DatapathError(step: step, subject: directory, code: ENOTDIR)
    }
    let magic = linux_filesystem(exists ? directory : parent)
    guard magic >= 0 else { throw DatapathError(step: step, subject: directory, code: errno) }
    guard magic == Int64(BPF_FS_MAGIC) else {
      let place = parent == "/sys/fs/bpf" ? parent : directory
      throw DatapathError(
        step: step, subject: directory, code: EINVAL,
        advice: "not in a bpf file system; mount one: mount -t bpf bpf \(place)")
    }
  }

  /// The other layouts in the directory; with links one enforces, without it is what a kill left.
  func others() -> [Pins] { Pins.layouts(in: root).filter { $0.number != number } }

  var hasLinks: Bool { !names(in: links).isEmpty }

  /// DIR/v1, DIR/v2 and so on, as far as they exist.
  static func layouts(in directory: String) -> [Pins] {
    names(in: directory, directories: true).compactMap { name in
      guard name.hasPrefix("v"), let number = UInt32(name.dropFirst()), name == "v\(number)" else { return nil }
      return Pins(directory, layout: number)
    }
  }

  /// The generation that the layout's tables are of, which is the first word of `current` in every layout; 0 none.
  func generation() throws(DatapathError) -> UInt32 {
    let path = "\(maps)/current"
    let answer = bpf_obj_get(path)
    if answer == -ENOENT { return 0 }
    let descriptor = try Descriptor.adopt(answer, "open pin", path)
    let map = try Map(descriptor, name: path)
    guard map.keySize == MemoryLayout<UInt32>.size, map.valueSize >= MemoryLayout<UInt32>.size else { return 0 }
    var key: UInt32 = 0
    var value = [UInt8](repeating: 0, count: map.valueSize)
    try check(bpf_map_lookup_elem(descriptor.raw, &key, &value), "read map", path)
    return value.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
  }

  /// Whether two pins are of the same map.
  static func isSame(_ a: String, _ b: String) throws(DatapathError) -> Bool {
    var ids: [UInt32] = []
    for path in [a, b] where access(path, F_OK) == 0 {
      let map = try Descriptor.adopt(bpf_obj_get(path), "open pin", path)
      var info = bpf_map_info()
      var size = UInt32(MemoryLayout<bpf_map_info>.size)
      try check(bpf_obj_get_info_by_fd(map.raw, &info, &size), "ask about map", path)
      ids.append(info.id)
    }
    return ids.count == 2 && ids[0] == ids[1]
  }

  /// The note that says for which owners (`Entries.owners`) the open sockets were tagged. It goes when a program is attached
  /// that was not: what was opened meanwhile has no tag.
  static let enrolled = "enrolled"

  /// nil where nothing was noted.
  func note(_ name: String) -> String? {
    var text = [CChar](repeating: 0, count: 64)
    let length = readlink("\(notes)/\(name)", &text, text.count)
    return length < 0 ? nil : String(decoding: text.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  func setNote(_ name: String, _ text: String?) throws(DatapathError) {
    if note(name) == text { return }
    let path = "\(notes)/\(name)"
    unlink(path)
    if let text { try checkErrno(symlink(text, path), "note", path) }
  }

  /// Removes what no link needs any more; what is left is removed at the next start.
  func dropMaps() {
    for note in names(in: notes) { unlink("\(notes)/\(note)") }
    for map in names(in: maps) { unlink("\(maps)/\(map)") }
  }

  func removeDirectories() { for path in [notes, links, maps, layout] { rmdir(path) } }

  /// mkdir(2), root's alone; false where it was there already.
  static func make(_ path: String) throws(DatapathError) -> Bool {
    if mkdir(path, 0o700) == 0 { return true }
    guard errno != EEXIST else { return false }
    throw DatapathError(step: "make directory", subject: path, code: errno)
  }

  /// Unpins everything below `directory`, links first so that enforcement ends before what it reads goes
  /// away. Returns how many pins there were. Directories that others put things into stay.
  static func removeAll(in directory: String) throws(DatapathError) -> Int {
    var removed = 0
    let layouts = Pins.layouts(in: directory)
    for kind in [\Pins.links, \Pins.maps, \Pins.notes] {
      for layout in layouts {
        for name in names(in: layout[keyPath: kind]) {
          let pin = "\(layout[keyPath: kind])/\(name)"
          let code = kind == \Pins.links ? LinkSession.remove(pin) : unlink(pin) == 0 ? 0 : errno
          try check(-code, "unpin", pin)
          if kind != \Pins.notes { removed += 1 }
        }
      }
    }
    for path in layouts.flatMap({ [$0.notes, $0.links, $0.maps, $0.layout] }) + [directory] {
      // ENOTEMPTY: not ours alone; EBUSY: a mount point.
      if rmdir(path) != 0, ![ENOENT, ENOTEMPTY, EBUSY].contains(errno) {
        throw DatapathError(step: "remove directory", subject: path, code: errno)
      }
    }
    return removed
  }
}
