import Datapath
import Glibc
import Policy

/// One look at the cgroups of this machine: which workloads are there, and where.
///
/// Named directories are asked for by name. Pods and units are found by what their directories are called: pods
/// wherever they are below the cgroup root, units below slices only, where systemd puts them. What is below a pod's,
/// a workload's or a proxy's cgroup is its own, whatever it is called there: nobody becomes another by a mkdir.
struct CgroupScan {
  /// A cgroup in a Subtree that has processes and is nobody's yet.
  struct Unidentified: Equatable {
    var directory: String
    var id: UInt64
    var subtree: String
    /// `pod UID` or `unit NAME`; nil where the name says nothing.
    var looks: String?
  }

  /// Directories that are looked into, at most; a tree with more is looked at in part, its upper part.
  static let maximumDirectories = 50_000

  private(set) var presence = Presence()
  /// Of the workloads that are there.
  private(set) var directories: [Name: String] = [:]
  /// Only of a look that was asked for them; by directory.
  private(set) var unidentified: [Unidentified] = []
  private(set) var isCut = false

  /// A pod's directory that was recognised. A cgroup's id is never given again, and its path never changes.
  private struct Pod {
    var name: Name
    var path: String
    var subtree: String?
  }

  private var pods: [UInt64: Pod] = [:]
  /// Of the look before.
  private var known: [UInt64: Pod] = [:]
  private let tree: CgroupTree
  private let located: CgroupTree.Located
  private let wantsUnidentified: Bool
  private let watch: (String) -> Void
  /// Named directories that are somebody's, and those of Subtrees.
  private var taken: Set<String> = []
  private var subtrees: [String: String] = [:]
  private var visited: Set<String> = []
  private var looks = 0
  /// Whether names matter; else there is nothing to watch for.
  private let searches: Bool

  /// `watch` is called with each directory in which a new name can matter, before it is read. The unidentified cost a read
  /// for each cgroup of a Subtree that is nobody's. After a look for the same, pods are known by their ids.
  init(
    _ located: CgroupTree.Located, _ tree: CgroupTree, unidentified wantsUnidentified: Bool = false,
    after former: CgroupScan? = nil, watch: @escaping (String) -> Void = { _ in }
  ) {
    self.tree = tree
    self.located = located
    self.wantsUnidentified = wantsUnidentified
    self.watch = watch
    searches = !located.pods.isEmpty || !located.units.isEmpty
    if let former, former.located == located { known = former.pods }
    lookAtNamed()
    if searches { walk(from: tree.root) }
    if searches || wantsUnidentified {
      for path in subtrees.keys.sorted() where !visited.contains(path) { walk(from: path) }
    }
    unidentified.sort { $0.directory < $1.directory }
    (known, taken, subtrees, visited) = ([:], [], [:], [])
  }

  private mutating func lookAtNamed() {
    var above: Set<String> = []
    func look(_ path: String) -> UInt64? {
      if above.insert(Files.directory(of: path)).inserted { watchAbove(path) }
      return Cgroup.id(path)
    }
    for (name, path) in located.subtrees {
      subtrees[path] = name
      presence.subtrees[name] = look(path)
    }
    for (name, path) in located.proxies {
      taken.insert(path)
      presence.proxies[name] = look(path)
    }
    for (name, path) in located.workloads {
      taken.insert(path)
      if let id = look(path) { add(name, path, id, in: located.subtree(of: path)) }
    }
  }

  /// Where the directory, or the nearest one above it that is there, would appear.
  private func watchAbove(_ path: String) {
    var above = Files.directory(of: path)
    while above.utf8.count > tree.root.utf8.count && !Files.isDirectory(above) {
      above = Files.directory(of: above)
    }
    watch(above)
  }

  private mutating func add(_ name: Name, _ path: String, _ id: UInt64, in subtree: String?) {
    // Of two directories of one name the upper one counts; it is met first.
    guard presence.workloads[name] == nil else { return }
    presence.workloads[name] = id
    presence.subtreeOf[name] = subtree
    directories[name] = path
  }

  // MARK: Walking

  private struct Place {
    var path: String
    var name: String
    var above: String
    var id: UInt64
    var subtree: String?
    /// Only slices are between the root and here.
    var isSlices: Bool
    /// A workload's, which a slice can be.
    var isOwned: Bool
    /// The uppermost unit on the way that is no slice.
    var unit: String?
  }

  /// From the top, so that a cut tree lacks its leaves.
  private mutating func walk(from path: String) {
    guard let id = Cgroup.id(path) else { return }
    var places = [
      Place(
        path: path, name: Files.last(of: path), above: Files.last(of: Files.directory(of: path)), id: id,
        subtree: located.subtree(of: path), isSlices: path == tree.root || CgroupName.isSlice(Files.last(of: path)),
        isOwned: false, unit: nil)
    ]
    while !places.isEmpty {
      var below: [Place] = []
      for place in places { look(into: place, &below) }
      places = below
    }
  }

  private mutating func look(into place: Place, _ below: inout [Place]) {
    looks += 1
    if looks > CgroupScan.maximumDirectories {
      isCut = true
      return
    }
    visited.insert(place.path)
    let isLeaf = CgroupScan.isLeaf(place.path)
    // A service that has no cgroups below it mostly never gets any.
    if searches && !(isLeaf && CgroupName.isLeafUnit(place.name)) { watch(place.path) }
    if wantsUnidentified && !place.isOwned { judge(place, isLeaf: isLeaf) }
    // Asked again: what came before the watch is found, what comes after is told.
    if isLeaf && CgroupScan.isLeaf(place.path) { return }
    CgroupScan.forEach(in: place.path) { id, name in
      if let pod = known[id] {
        pods[id] = pod
        add(pod.name, pod.path, id, in: pod.subtree)
      } else {
        take(name(), id, in: place, &below)
      }
    }
  }

  /// One directory of another's: somebody's, or to be looked into.
  private mutating func take(_ name: String, _ id: UInt64, in place: Place, _ below: inout [Place]) {
    let path = "\(place.path)/\(name)"
    let subtree = subtrees[path] ?? place.subtree
    if taken.contains(path) { return }
    if let uid = CgroupName.podUID(name, in: place.name, place.above) {
      if tree.isOwn(path) { return }
      if let workload = located.pods[uid] {
        pods[id] = Pod(name: workload, path: path, subtree: subtree)
        add(workload, path, id, in: subtree)
      } else if wantsUnidentified, let subtree, CgroupTree.isPopulated(path) == true {
        unidentified.append(Unidentified(directory: path, id: id, subtree: subtree, looks: "pod \(uid)"))
      }
      return
    }
    var unit = place.unit
    var isSlices = false
    var isOwned = place.isOwned && subtrees[path] == nil
    if let found = CgroupName.unit(name) {
      let isSlice = CgroupName.isSlice(name)
      isSlices = isSlice && place.isSlices
      if place.isSlices, let workload = located.units[found], !tree.isOwn(path) {
        add(workload, path, id, in: subtree)
        if !isSlice { return }
        isOwned = true
      }
      if !isSlice && unit == nil { unit = found }
    }
    below.append(
      Place(
        path: path, name: name, above: place.name, id: id, subtree: subtree, isSlices: isSlices, isOwned: isOwned,
        unit: unit))
  }

  private mutating func judge(_ place: Place, isLeaf: Bool) {
    guard let subtree = place.subtree else { return }
    let isUsed = isLeaf ? CgroupTree.isPopulated(place.path) == true : CgroupScan.hasProcesses(place.path)
    if isUsed {
      unidentified.append(
        Unidentified(directory: place.path, id: place.id, subtree: subtree, looks: place.unit.map { "unit \($0)" }))
    }
  }

  // MARK: The file system

  /// Whether no cgroup is below: a directory of cgroupfs has a link for each, and two of its own.
  private static func isLeaf(_ path: String) -> Bool {
    var about = stat()
    return stat(path, &about) != 0 || about.st_nlink <= 2
  }

  /// Whether any process is in this one cgroup.
  private static func hasProcesses(_ path: String) -> Bool {
    let descriptor = open("\(path)/cgroup.procs", O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { return false }
    defer { close(descriptor) }
    var byte: UInt8 = 0
    // A threaded cgroup's processes are told only above it (EOPNOTSUPP).
    return read(descriptor, &byte, 1) != 0
  }

  /// Each cgroup of a directory with its id, which is its inode's number, 64 bits of it.
  private static func forEach(in path: String, _ body: (UInt64, () -> String) -> Void) {
    guard let directory = opendir(path) else { return }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
      let (first, second, third) = (entry.pointee.d_name.0, entry.pointee.d_name.1, entry.pointee.d_name.2)
      let dot = CChar(bitPattern: UInt8(ascii: "."))
      if first == dot && (second == 0 || (second == dot && third == 0)) { continue }
      body(UInt64(entry.pointee.d_ino)) {
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
      }
    }
  }
}
