import Glibc

/// Runs `body` on a thread of its own and waits for it: what it does to its thread, such as entering a
/// namespace, ends with the thread.
package func onThread<Result: Sendable>(
  _ body: @escaping @Sendable () -> Result
) throws(DatapathError) -> Result {
  guard let result = try onThreads([body]).first else {
    throw DatapathError(step: "run", subject: "a thread", code: ECANCELED)
  }
  return result
}

/// Runs each body on a thread of its own, all at once, and waits for all of them. Results are in the bodies'
/// order.
func onThreads<Result: Sendable>(
  _ bodies: [@Sendable () -> Result]
) throws(DatapathError) -> [Result] {
  let outcomes = bodies.map { _ in Outcome<Result>() }
  let works = zip(bodies, outcomes).map { body, outcome in Work { outcome.value = body() } }
  var threads: [pthread_t] = []
  var code: Int32 = 0
  for work in works where code == 0 {
    var thread = pthread_t()
    code = pthread_create(
      &thread, nil,
      { context in
        if let context { Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().body() }
        return nil
      }, Unmanaged.passUnretained(work).toOpaque())
    if code == 0 { threads.append(thread) }
  }
  withExtendedLifetime(works) { for thread in threads { pthread_join(thread, nil) } }
  guard code == 0 else { throw DatapathError(step: "start", subject: "a thread", code: code) }
  return outcomes.compactMap(\.value)
}

/// What a C callback can be handed.
private final class Work {
  let body: () -> Void
  init(_ body: @escaping () -> Void) { self.body = body }
}

/// Written by one thread, read by another after that one was joined.
private final class Outcome<Value> {
  var value: Value?
}
