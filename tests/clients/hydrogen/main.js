// Starts Hydrogen, whole and unmodified, in the page that loads this. Its package has all of the client but its own first lines.

import { createNavigation, createRouter, FeatureSet, Platform, RootViewModel } from "hydrogen-view-sdk";

const platform = new Platform({
    container: document.body,
    assetPaths: {
        downloadSandbox: "assets/download-sandbox.html",
        worker: "assets/main.js",
        olm: { wasm: "olm.wasm", wasmBundle: "olm.js", legacyBundle: "olm_legacy.js" },
        serviceWorker: "sw.js",
    },
    configURL: "config.json",
});
await platform.init();
const navigation = createNavigation();
platform.setNavigation(navigation);
const urlRouter = createRouter({ navigation, history: platform.history });
urlRouter.attach();
const features = await FeatureSet.load(platform.settingsStorage);
const root = new RootViewModel({ platform, navigation, urlRouter, features });
await root.load();
platform.createAndMountRootView(root);
