// The one function the SDK uses that Node has only since version 22, so that Node 20 (as in Debian 13) will do.

Promise.withResolvers ??= () => {
    const resolvers = {};
    resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
    return resolvers;
};
