export default {
  experimental: {
    // The client sends the name of the function, which a minifier would change.
    serverMinification: false,
  },
};
