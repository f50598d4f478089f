import Policy

extension Agent {
  /// Every file, and `weir run`'s.
  var sources: [String] { configuration.policies + [configuration.workloads] }

  /// Reads until nothing changed while reading, so that half of a change is never applied.
  func readSources() -> (reading: Reading, gone: [Problem]) {
    for attempt in 1... {
      for error in watcher.arm(sources) { log.warn("not-watched", ["path": error.subject, "error": error]) }
      _ = watcher.drain()
      readPlaces = Agent.places(sources)
      let gone = sources.filter { !Files.exists($0) }
      let reading = library.read(sources.filter { !gone.contains($0) })
      if attempt == 10 || !watcher.drain() {
        var reading = reading
        reading.set.joined = configuration.joined
        return (reading, gone.map { Problem(file: $0, message: "is gone; the last good set stays in force") })
      }
    }
    return (Reading(), [])
  }

  /// After the first change, until 10 ms went by without another, 500 ms at most: editors and `kubectl` write
  /// in steps. A lone rename waits as long: it may be the first of many, and a set with half of them means
  /// something that nobody wrote.
  func settle() {
    let now = Clock.monotonic()
    let since = settling?.since ?? now
    if let settling { loop.cancel(settling.deadline) }
    let left = 500 - min(500, Int((now - since) / 1_000_000))
    let deadline = loop.after(milliseconds: min(10, left)) { [unowned self] in
      settling = nil
      reload("files", since: since)
    }
    settling = (since, deadline)
  }

  /// A reading that was due is done by the one that is made now.
  func cancelSettling() {
    if let settling { loop.cancel(settling.deadline) }
    settling = nil
  }
}
