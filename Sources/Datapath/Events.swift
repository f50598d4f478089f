import CDatapath
import CLibbpf
import Glibc

/// The consumer's end of the events' ring buffer.
final class Events {
  private final class Receiver {
    var body: ((weir_event) -> Void)?
  }

  private let ring: OpaquePointer
  private let receiver = Receiver()

  init(_ map: Map) throws(DatapathError) {
    let made = ring_buffer__new(
      map.descriptor,
      { context, data, size in
        guard let context, let data, size >= MemoryLayout<weir_event>.size else { return 0 }
        Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue()
          .body?(data.loadUnaligned(as: weir_event.self))
        return 0
      }, Unmanaged.passUnretained(receiver).toOpaque(), nil)
    guard let made else { throw DatapathError(step: "read map", subject: map.name, code: errno) }
    ring = made
  }

  deinit { ring_buffer__free(ring) }

  var descriptor: Int32 { ring_buffer__epoll_fd(ring) }

  func drain(_ body: (weir_event) -> Void) throws(DatapathError) {
    let answer = withoutActuallyEscaping(body) { body in
      receiver.body = body
      defer { receiver.body = nil }
      return ring_buffer__consume(ring)
    }
    try check(answer, "read map", "events")
  }
}
