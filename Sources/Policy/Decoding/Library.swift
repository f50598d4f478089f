/// Reads the same paths again and again: what a file said is kept, and only files that changed are decoded
/// anew. Not Sendable: one thread's.
public final class Library {
  /// What a file said, and how it looked then.
  private struct Entry {
    var look: PolicyFile.Look
    /// Of the bytes, by this process's own secret: whoever writes files cannot make two that are taken for one.
    var digest: Int
    var bytes: Int
    var said: FileReading
  }

  /// By path: problems and places carry it.
  private var entries: [String: Entry] = [:]
  private var collection = Collection()

  public init() {}

  /// Reads files and directories as `Reading(paths:)` does, and answers the same. Sets of readings between
  /// which no inventory changed have equal inventory stamps.
  public func read(_ paths: [String]) -> Reading {
    var problems: [Problem] = []
    let plan = plan(paths, &problems)
    let now = PolicyFile.Look.now()
    let old = entries
    let found = concurrently(plan.count) { index in
      Library.look(at: plan[index], old[plan[index].path], now)
    }
    entries = [:]
    entries.reserveCapacity(found.count)
    var sources: [FileReading] = []
    var known: Set<PolicyFile.Identity> = []
    var decoded = 0
    var files = 0
    for (file, result) in zip(plan, found) {
      switch result {
      case .failure(let problem): problems.append(problem)
      case .success(let entry):
        guard known.insert(entry.look.identity).inserted else { continue }
        sources.append(entry.said)
        if entry.said !== old[file.path]?.said { decoded += entry.bytes }
        entries[file.path] = entry
      }
      files += 1
    }
    var reading = collection.join(sources)
    reading.problems += problems
    reading.problems.sort {
      ($0.file, $0.line, $0.column, $0.field) < ($1.file, $1.line, $1.column, $1.field)
    }
    reading.files = files
    reading.decoded = decoded
    return reading
  }

  /// A file to look at; `look` is nil where it cannot be.
  private struct Planned: Sendable {
    var path: String
    var look: Result<PolicyFile.Look, Problem>
  }

  /// The files of the paths in order, each once.
  private func plan(_ paths: [String], _ problems: inout [Problem]) -> [Planned] {
    var plan: [Planned] = []
    var known: Set<PolicyFile.Identity> = []
    for path in paths {
      switch PolicyFile.files(at: path) {
      case .failure(let problem): problems.append(problem)
      case .success(let found):
        for file in found {
          let look = PolicyFile.look(at: file)
          if case .success(let look) = look, !known.insert(look.identity).inserted { continue }
          plan.append(Planned(path: file, look: look))
        }
      }
    }
    return plan
  }

  /// The entry as it was where the file is the same, else a new one.
  private static func look(at file: Planned, _ old: Entry?, _ now: PolicyFile.Time) -> Result<Entry, Problem> {
    if let old, case .success(let look) = file.look, look.isSame(as: old.look) { return .success(old) }
    do throws(Problem) {
      _ = try file.look.get()
      var (look, bytes) = try PolicyFile.read(file.path)
      look.seen = now
      var hasher = Hasher()
      bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
      let digest = hasher.finalize()
      if let old, old.digest == digest, old.bytes == bytes.count {
        return .success(Entry(look: look, digest: digest, bytes: bytes.count, said: old.said))
      }
      return .success(
        Entry(
          look: look, digest: digest, bytes: bytes.count,
          said: FileReading(file: shown(file.path, atMost: 4096), bytes: bytes)))
    } catch {
      return .failure(error)
    }
  }
}
