"""Where programs meet devices: arrays with buffers, dispatch, compile cache, plugins, the contract with drivers."""
