FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY clients/node clients/node
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY --from=build /app/clients/node/package.json clients/node/
# The embedded PostgreSQL is the optional dependency: an image is given its database with DATABASE_URL.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production KEYWARD_LISTEN=0.0.0.0:50051
WORKDIR /app
COPY package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/clients/node/package.json clients/node/
COPY --from=build /app/clients/node/dist clients/node/dist
COPY proto proto
# The image's user `node`, as a number: orchestrators cannot tell from a name that it is not root.
USER 1000:1000
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["node", "dist/cli/main.js", "health"]
CMD ["node", "--enable-source-maps", "dist/cli/main.js", "serve"]
