import CLinux
import Glibc

/// What inotify(7) has to say.
enum Inotify {
  /// Takes every event that waits behind a descriptor that does not block. The second is the name in the watched
  /// directory; empty for the directory itself.
  static func drain(_ descriptor: Int32, _ body: (inotify_event, String) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 8) { buffer in
      while true {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        if count <= 0 { return }
        var offset = 0
        while offset + MemoryLayout<inotify_event>.size <= count {
          let event = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
          let start = offset + MemoryLayout<inotify_event>.size
          offset = start + Int(event.len)
          body(event, String(decoding: buffer[start..<offset].prefix { $0 != 0 }, as: UTF8.self))
        }
      }
    }
  }
}
