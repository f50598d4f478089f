import Datapath
import Glibc

extension Agent {
  /// The status API behind a new socket.
  func listenAgain() throws(Failure) {
    let socket = try Listeners.unix(configuration.socket)
    api?.stop()
    do throws(SystemError) { try serveAPI(socket) } catch {
      close(socket)
      Files.remove(configuration.socket)
      throw Failure(error)
    }
  }

  private func serveAPI(_ socket: Int32) throws(SystemError) {
    api = try HTTPServer(listener: socket, loop: loop, routes: apiRoutes) { [unowned self] in
      strangers.refuse(client: $0, log: log)
    }
    api?.elsewhere = { [unowned self] in enforced($0) }
  }

  func serve(socket: Int32, metrics: Int32) throws(Failure) {
    do throws(SystemError) {
      try serveAPI(socket)
      scrape = try HTTPServer(listener: metrics, loop: loop, routes: scrapeRoutes)
      try loop.onReadable(signals.descriptor) { [unowned self] in takeSignals() }
      try loop.onReadable(watcher.descriptor) { [unowned self] in if watcher.drain() { settle() } }
      try loop.onReadable(cgroups.descriptor) { [unowned self] in takeCgroups() }
      try loop.onReadable(datapath.eventDescriptor) { [unowned self] in takeEvents() }
    } catch {
      throw Failure(error)
    }
    loop.every(milliseconds: 1000) { [unowned self] in tick() }
  }

  private func takeSignals() {
    while let signal = signals.next() {
      if Int32(bitPattern: signal.ssi_signo) == SIGHUP {
        Notify.reloading()
        reload("SIGHUP")
        Notify.ready()
      } else {
        loop.stop()
      }
    }
  }
}
