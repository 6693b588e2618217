package keyward

// version is that of this module.
const version = "0.1.0"

const agent = "keyward-go/" + version
