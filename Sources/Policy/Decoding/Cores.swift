import Glibc
import Synchronization

/// Runs `body` for every number below `count`, side by side on the machine's cores, and waits for
/// all of them. Results are in the numbers' order, whichever came first.
func concurrently<Result: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Result) -> [Result] {
  let helpers = min(count, cores()) - 1
  guard helpers > 0 else { return (0..<count).map(body) }
  let results = Results<Result>(count)
  let next = Atomic(0)
  withoutActuallyEscaping(body) { body in
    let work = Work {
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if index >= count { return }
        results.room[index] = body(index)
      }
    }
    var threads: [pthread_t] = []
    for _ in 0..<helpers {
      var thread = pthread_t()
      let code = pthread_create(
        &thread, nil,
        { context in
          if let context { Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().body() }
          return nil
        }, Unmanaged.passUnretained(work).toOpaque())
      // Fewer do it too: this thread takes whatever is left.
      if code == 0 { threads.append(thread) }
    }
    work.body()
    for thread in threads { pthread_join(thread, nil) }
  }
  return results.room.compactMap { $0 }
}

/// How many cores to use; more than eight gain nothing that memory would not pay for.
private func cores() -> Int { min(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), 8) }

/// What a C callback can be handed.
private final class Work {
  let body: () -> Void
  init(_ body: @escaping () -> Void) { self.body = body }
}

/// Each place is written by one thread, and read after all were joined.
private final class Results<Result>: @unchecked Sendable {
  let room: UnsafeMutableBufferPointer<Result?>

  init(_ count: Int) {
    room = .allocate(capacity: count)
    room.initialize(repeating: nil)
  }

  deinit {
    room.deinitialize()
    room.deallocate()
  }
}
